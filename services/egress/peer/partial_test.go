package peer

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

// TestPartialsAreBounded begins many blobs. The oldest beginnings make room, except those that are being written.
func TestPartialsAreBounded(t *testing.T) {
	const size = leastPartial + 1000
	dir := t.TempDir()
	p, err := OpenPartials(dir)
	require.NoError(t, err)
	p.maxFiles, p.maxBytes = 5, 3*size
	content := bytes.Repeat([]byte("x"), size)
	digest := func(i int) registry.Digest { return registry.DigestOf(fmt.Append(nil, i)) }
	begin := func(i int) *partial {
		file := &partial{in: p, digest: digest(i)}
		file.extend(content, content[size-10:])
		return file
	}
	kept := func() (all []int) {
		for i := range 100 {
			if _, err := os.Stat(p.path(digest(i))); err == nil {
				all = append(all, i)
			}
		}
		return all
	}
	open := begin(0)
	for i := 1; i < 10; i++ {
		begin(i).pause()
	}
	require.Equal(t, []int{0, 8, 9}, kept(), "by bytes")
	open.extend(append(content, content...), content)
	require.Equal(t, []int{0, 9}, kept(), "the growing file takes room")

	second, third := begin(10), begin(11)
	require.Equal(t, []int{0, 10}, kept(), "all room is that of files that are open")
	require.True(t, third.off)
	open.drop()
	second.pause()
	require.Len(t, p.read(digest(10), 1<<30), size)
	require.EqualValues(t, size, p.bytes)

	p.maxFiles, p.maxBytes = 2, 100*size
	begin(12).pause()
	begin(13).pause()
	require.Equal(t, []int{12, 13}, kept(), "by files")
	again, err := OpenPartials(dir)
	require.NoError(t, err)
	again.maxFiles = 2
	resumed := &partial{in: again, digest: digest(12), exists: true}
	resumed.extend(content, content[size-10:])
	resumed.pause()
	other := &partial{in: again, digest: digest(14)}
	other.extend(content, content)
	require.Equal(t, []int{12, 14}, kept(), "13 was used before 12")
	other.pause()
}

// TestPartialsUnderLoad writes, keeps and removes beginnings at the same time. The sum is that of the files.
func TestPartialsUnderLoad(t *testing.T) {
	dir := t.TempDir()
	p, err := OpenPartials(dir)
	require.NoError(t, err)
	p.maxFiles, p.maxBytes = 4, 6*leastPartial
	content := bytes.Repeat([]byte("x"), 2*leastPartial)
	var running sync.WaitGroup
	for worker := range 4 {
		running.Go(func() {
			for i := range 20 {
				file := &partial{in: p, digest: registry.DigestOf(fmt.Append(nil, worker, i))}
				file.extend(content[:leastPartial], content[:10])
				file.extend(content, content[:leastPartial])
				if i%3 == 0 {
					file.drop()
				} else {
					file.pause()
				}
			}
		})
	}
	running.Wait()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	var sum int64
	for _, name := range files {
		info, err := os.Stat(name)
		require.NoError(t, err)
		sum += info.Size()
	}
	require.Len(t, files, len(p.files))
	require.Equal(t, sum, p.bytes)
	require.LessOrEqual(t, sum, p.maxBytes)
}
