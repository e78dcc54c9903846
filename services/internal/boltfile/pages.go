package boltfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"

	"github.com/vespo-dev/vespo/internal/regular"
)

// Layout of a bbolt file, version 2: a sequence of pages. The
// first two are metas. See go.etcd.io/bbolt/internal/common.
const (
	pageHeader   = 16 // id uint64, flags uint16, count uint16, overflow uint32
	elementBytes = 16
	metaBytes    = 80 // including the page header
	metaMagic    = 0xED0CDAED
	branchPage   = 0x01
	leafPage     = 0x02
	freePage     = 0x10
	bucketLeaf   = 0x01 // element flag
	manyPages    = 0xFFFF
	noFreelist   = ^uint64(0)
)

// checker walks a file like bbolt, but validates everything. On a damaged
// page bbolt itself panics, reads beyond the file or never returns.
type checker struct {
	file     *os.File
	pageSize int64
	pages    uint64 // number of pages; ids are below it
	seen     map[uint64]bool
}

// Check returns an error if the structure of the file is damaged. Keys and values are not checked:
// they have checksums of their own. A file without a valid meta, such as an empty one, is left to bbolt.
func Check(path string) error {
	f, err := regular.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	c := &checker{file: f, seen: map[uint64]bool{}}
	meta := c.meta()
	if meta == nil {
		return nil
	}
	c.pages = binary.LittleEndian.Uint64(meta[56:])
	if err := c.walk(binary.LittleEndian.Uint64(meta[32:]), nil, nil); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err := c.freelist(binary.LittleEndian.Uint64(meta[48:])); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// meta returns the meta that bbolt selects: the newer of the valid ones. It also sets pageSize.
func (c *checker) meta() (newest []byte) {
	for size := int64(512); size <= 64<<10; size *= 2 {
		for _, offset := range []int64{0, size} {
			page := make([]byte, metaBytes)
			if _, err := c.file.ReadAt(page, offset); err != nil {
				continue
			}
			sum := fnv.New64a()
			sum.Write(page[pageHeader:72])
			if binary.LittleEndian.Uint32(page[16:]) != metaMagic || sum.Sum64() != binary.LittleEndian.Uint64(page[72:]) ||
				int64(binary.LittleEndian.Uint32(page[24:])) != size {
				continue
			}
			if newest == nil || binary.LittleEndian.Uint64(page[64:]) > binary.LittleEndian.Uint64(newest[64:]) {
				newest, c.pageSize = page, size
			}
		}
	}
	return newest
}

// page is a page together with its overflow pages.
type page struct {
	c           *checker
	id          uint64
	flags       uint16
	count       int
	sizeBytes   int64
	offsetBytes int64
}

// open reads the header of a page and marks its ids as seen.
func (c *checker) open(id uint64) (page, error) {
	p := page{c: c, id: id, offsetBytes: int64(id) * c.pageSize}
	if id < 2 || id >= c.pages {
		return p, fmt.Errorf("page %d is none of %d", id, c.pages)
	}
	head := make([]byte, pageHeader)
	if _, err := c.file.ReadAt(head, p.offsetBytes); err != nil {
		return p, fmt.Errorf("page %d: %w", id, err)
	}
	overflow := uint64(binary.LittleEndian.Uint32(head[12:]))
	if binary.LittleEndian.Uint64(head) != id || id+overflow >= c.pages {
		return p, fmt.Errorf("page %d has the header of another", id)
	}
	for i := range overflow + 1 {
		if c.seen[id+i] {
			return p, fmt.Errorf("page %d is used twice", id+i)
		}
		c.seen[id+i] = true
	}
	p.flags, p.count = binary.LittleEndian.Uint16(head[8:]), int(binary.LittleEndian.Uint16(head[10:]))
	p.sizeBytes = int64(overflow+1) * c.pageSize
	return p, nil
}

// read returns n bytes of the page.
func (p page) read(at, n int64) ([]byte, error) {
	if at < 0 || n < 0 || at+n > p.sizeBytes {
		return nil, fmt.Errorf("page %d ends before its content does", p.id)
	}
	b := make([]byte, n)
	_, err := p.c.file.ReadAt(b, p.offsetBytes+at)
	return b, err
}

// walk checks the tree below a page. Keys must be in [low, high); nil is no bound.
func (c *checker) walk(id uint64, low, high []byte) error {
	p, err := c.open(id)
	if err != nil {
		return err
	}
	if p.flags != branchPage && p.flags != leafPage || p.flags == branchPage && p.count == 0 {
		return fmt.Errorf("page %d is neither branch nor leaf", id)
	}
	elements, err := p.read(pageHeader, int64(p.count)*elementBytes)
	if err != nil {
		return err
	}
	keys := make([][]byte, p.count)
	for i := range keys {
		e, at := elements[i*elementBytes:], pageHeader+int64(i)*elementBytes
		position, size := binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint32(e[4:])
		if p.flags == leafPage {
			position, size = binary.LittleEndian.Uint32(e[4:]), binary.LittleEndian.Uint32(e[8:])
		}
		if keys[i], err = p.read(at+int64(position), int64(size)); err != nil {
			return err
		}
		if i > 0 && bytes.Compare(keys[i-1], keys[i]) >= 0 || low != nil && bytes.Compare(keys[i], low) < 0 || high != nil && bytes.Compare(keys[i], high) >= 0 {
			return fmt.Errorf("page %d has its keys out of order", id)
		}
	}
	for i, key := range keys {
		e := elements[i*elementBytes:]
		if p.flags == leafPage {
			err = p.leaf(e, pageHeader+int64(i)*elementBytes)
		} else {
			end := high
			if i+1 < len(keys) {
				end = keys[i+1]
			}
			err = c.walk(binary.LittleEndian.Uint64(e[8:]), key, end)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// leaf checks one element of a leaf, and the bucket in it if it holds one.
func (p page) leaf(e []byte, at int64) error {
	flags := binary.LittleEndian.Uint32(e)
	begin := at + int64(binary.LittleEndian.Uint32(e[4:])) + int64(binary.LittleEndian.Uint32(e[8:]))
	size := int64(binary.LittleEndian.Uint32(e[12:]))
	if begin+size > p.sizeBytes || flags > bucketLeaf {
		return fmt.Errorf("page %d has a damaged element", p.id)
	}
	if flags == 0 {
		return nil
	}
	bucket, err := p.read(begin, size)
	if err != nil || size < pageHeader {
		return fmt.Errorf("page %d has a bucket without a header: %w", p.id, err)
	}
	if root := binary.LittleEndian.Uint64(bucket); root != 0 {
		return p.c.walk(root, nil, nil)
	}
	return p.inline(bucket[pageHeader:])
}

// inline checks a bucket stored inside an element.
func (p page) inline(b []byte) error {
	broken := fmt.Errorf("page %d has a damaged bucket", p.id)
	if len(b) < pageHeader || binary.LittleEndian.Uint16(b[8:]) != leafPage {
		return broken
	}
	count := int64(binary.LittleEndian.Uint16(b[10:]))
	if pageHeader+count*elementBytes > int64(len(b)) {
		return broken
	}
	var last []byte
	for i := range count {
		at := pageHeader + i*elementBytes
		e := b[at:]
		begin := at + int64(binary.LittleEndian.Uint32(e[4:]))
		key, size := int64(binary.LittleEndian.Uint32(e[8:])), int64(binary.LittleEndian.Uint32(e[12:]))
		if binary.LittleEndian.Uint32(e) != 0 || begin+key+size > int64(len(b)) {
			return broken
		}
		now := b[begin : begin+key]
		if i > 0 && bytes.Compare(last, now) >= 0 {
			return broken
		}
		last = now
	}
	return nil
}

// freelist checks the free pages, which bbolt overwrites next. None of them may be in use.
func (c *checker) freelist(id uint64) error {
	if id == noFreelist {
		return nil
	}
	p, err := c.open(id)
	if err != nil {
		return err
	}
	at, count := int64(pageHeader), uint64(p.count)
	if p.flags != freePage {
		return fmt.Errorf("page %d is no freelist", id)
	}
	if p.count == manyPages {
		first, err := p.read(at, 8)
		if err != nil {
			return err
		}
		at, count = at+8, binary.LittleEndian.Uint64(first)
	}
	if count > c.pages {
		return fmt.Errorf("page %d has more free pages than there are", id)
	}
	ids, err := p.read(at, int64(count)*8)
	if err != nil {
		return err
	}
	for ; len(ids) > 0; ids = ids[8:] {
		free := binary.LittleEndian.Uint64(ids)
		if free < 2 || free >= c.pages || c.seen[free] {
			return fmt.Errorf("page %d has the page %d as free", id, free)
		}
		c.seen[free] = true
	}
	return nil
}
