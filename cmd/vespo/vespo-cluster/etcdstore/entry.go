package etcdstore

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
)

// Bounds of a value. By default, etcd refuses requests of more than 1.5 MiB.
const (
	maxValueBytes   = 1 << 20
	compressFrom    = 32 << 10 // shorter values stay legible
	maxContentBytes = 64 << 20 // of a compressed value, once decompressed
)

// Errors of values.
var (
	errDamaged = errors.New("the value is damaged")
	errNewer   = errors.New("written by a newer version of vespo, which this one cannot read")
)

// Kinds of values.
const (
	serviceFormat = "vespo service"
	recordFormat  = "vespo record"
	headFormat    = "vespo generation"
	chunkFormat   = "vespo staged changes"
	hostFormat    = "vespo host"
)

// envelope is the JSON of every value. The checksum is the SHA-256 of the content's bytes.
type envelope struct {
	Format  string          `json:"format"`
	Version int             `json:"version"`
	SHA256  string          `json:"sha256"`
	Content json.RawMessage `json:"content"`
}

// seal returns a value. content is JSON without insignificant white space.
func seal(format string, version int, content []byte) ([]byte, error) {
	sum := sha256.Sum256(content)
	text, err := registry.EncodeManifest(envelope{Format: format, Version: version, SHA256: hex.EncodeToString(sum[:]), Content: content})
	if err != nil {
		return nil, err
	}
	value := []byte(text)
	if len(value) < compressFrom {
		return value, nil
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(value); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// unseal returns the content of a value. Its errors match errDamaged or errNewer.
func unseal(value []byte, format string, version int) ([]byte, error) {
	if bytes.HasPrefix(value, []byte{0x1f, 0x8b}) {
		var err error
		if value, err = unpack(value); err != nil {
			return nil, fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	var e envelope
	if err := json.Unmarshal(value, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	switch sum := sha256.Sum256(e.Content); {
	case e.Format != format:
		return nil, fmt.Errorf("%w: its format is %.80q, not %q", errDamaged, e.Format, format)
	case e.Version > version:
		return nil, fmt.Errorf("%w (%s of version %d, known is %d)", errNewer, format, e.Version, version)
	case e.Version < 1:
		return nil, fmt.Errorf("%w: there is no version %d of %s", errDamaged, e.Version, format)
	case hex.EncodeToString(sum[:]) != e.SHA256:
		return nil, fmt.Errorf("%w: the checksum does not fit", errDamaged)
	}
	return e.Content, nil
}

func unpack(value []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(value))
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(r, maxContentBytes+1))
	if err == nil && len(content) > maxContentBytes {
		err = fmt.Errorf("it has more than %d bytes", maxContentBytes)
	}
	return content, err
}

// entry is a service or a record in the store.
type entry struct {
	hash    digest
	service registry.Service // of a key of services
	record  registry.Record  // of a key of records
	err     error            // why the value is not part of the catalogue; nil if it is
	value   []byte           // kept only if err is not nil
}

// decodeEntry returns the entry of a key below the catalogue's prefix.
func decodeEntry(key string, value []byte) entry {
	e := entry{hash: hashOf(key, value)}
	switch text, ok := strings.CutPrefix(key, serviceKeys); {
	case ok:
		e.service, e.err = decodeService(text, value)
	default:
		e.record, e.err = decodeRecord(value)
	}
	if e.err != nil {
		e.value = bytes.Clone(value)
	}
	return e
}

func decodeService(key string, value []byte) (registry.Service, error) {
	content, err := unseal(value, serviceFormat, filestore.EntryVersion)
	if err != nil {
		return registry.Service{}, err
	}
	service, err := filestore.DecodeService(content)
	if err != nil {
		return service, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if service.Key.String() != key {
		return service, fmt.Errorf("%w: it is the service %.200q", errDamaged, service.Key)
	}
	return service, nil
}

func decodeRecord(value []byte) (registry.Record, error) {
	content, err := unseal(value, recordFormat, filestore.EntryVersion)
	if err != nil {
		return registry.Record{}, err
	}
	record, err := filestore.DecodeRecord(content)
	if err != nil {
		return record, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return record, nil
}

// encodeService returns the value of a service. It matches registry.ErrInvalidState if the service is too large.
func encodeService(s registry.Service) ([]byte, error) {
	content, err := filestore.EncodeService(s)
	return sealed(serviceFormat, s.Key.String(), content, err)
}

func encodeRecord(name string, r registry.Record) ([]byte, error) {
	content, err := filestore.EncodeRecord(r)
	return sealed(recordFormat, name, content, err)
}

func sealed(format, name string, content []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, fmt.Errorf("%w: %s %.200q: %w", registry.ErrInvalidState, format, name, err)
	}
	value, err := seal(format, filestore.EntryVersion, content)
	if err == nil && len(value)+len(name) > maxValueBytes {
		err = fmt.Errorf("%w: %s %.200q takes %d bytes in the store with its earlier versions, at most %d can be",
			registry.ErrInvalidState, format, name, len(value)+len(name), maxValueBytes)
	}
	return value, err
}

// Fits implements cluster.Store.
func (s *Store) Fits(state *registry.State) error {
	failed := []error{state.Check()}
	for _, service := range state.Sorted() {
		_, err := encodeService(service)
		failed = append(failed, err)
	}
	for _, name := range slices.Sorted(maps.Keys(state.Records)) {
		_, err := encodeRecord(name, state.Records[name])
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

func serviceKey(k routekey.Key) string { return serviceKeys + k.String() }
func recordKey(name string) string     { return recordKeys + name }
