package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/regular"
)

const (
	// Interval is the time between two looks at the files.
	Interval = 5 * time.Second
	// maxFileBytes is the largest file that is read.
	maxFileBytes = 1 << 20
)

// Pair names the files of a certificate chain and its private key, in PEM.
type Pair struct{ Cert, Key string }

// Files are the certificates of some pairs of files. Create them with Open.
type Files struct {
	pairs []*kept[*tls.Certificate] // immutable
}

// Open reads the pairs of files, of which there is at least one.
func Open(pairs []Pair, log *slog.Logger) (*Files, error) {
	f := &Files{}
	for _, p := range pairs {
		k, err := open([]string{p.Cert, p.Key}, parsePair, log)
		if err != nil {
			return nil, err
		}
		f.pairs = append(f.pairs, k)
	}
	return f, nil
}

// parsePair parses a certificate chain and its key.
func parsePair(texts [][]byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(texts[0], texts[1])
	if err != nil {
		return nil, err
	}
	return &pair, nil
}

// Certificate returns the certificate for a client: the first one that suits its server name and its algorithms,
// otherwise the first of all. It has the signature of tls.Config.GetCertificate.
func (f *Files) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	for _, p := range f.pairs {
		if pair := *p.current.Load(); len(f.pairs) > 1 && hello.SupportsCertificate(pair) == nil {
			return pair, nil
		}
	}
	return *f.pairs[0].current.Load(), nil
}

// Watch reads files that have changed, until ctx ends.
func (f *Files) Watch(ctx context.Context) {
	every(ctx, func() {
		for _, p := range f.pairs {
			p.look(describePair)
		}
	})
}

// describePair returns the attributes by which the log describes a renewed certificate.
func describePair(pair *tls.Certificate) []any {
	leaf := pair.Leaf
	return []any{"names", leaf.DNSNames, "expires", leaf.NotAfter.UTC().Format(time.RFC3339)}
}

// Authorities are the certificate authorities of a file. Create them with OpenAuthorities.
type Authorities struct{ file *kept[*x509.CertPool] }

// OpenAuthorities reads a file of certificates, in PEM.
func OpenAuthorities(path string, log *slog.Logger) (*Authorities, error) {
	file, err := open([]string{path}, parsePool, log)
	if err != nil {
		return nil, err
	}
	return &Authorities{file}, nil
}

// ReadAuthorities reads a file of certificates once.
func ReadAuthorities(path string) (*x509.CertPool, error) {
	text, err := regular.ReadFile(path, maxFileBytes)
	if err != nil {
		return nil, err
	}
	pool, err := parsePool([][]byte{text})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return pool, nil
}

func parsePool(texts [][]byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(texts[0]) {
		return nil, errors.New("it has no certificate in PEM")
	}
	return pool, nil
}

// Pool returns the current authorities.
func (a *Authorities) Pool() *x509.CertPool { return *a.file.current.Load() }

// Watch reads the file when it has changed, until ctx ends.
func (a *Authorities) Watch(ctx context.Context) {
	every(ctx, func() { a.file.look(func(*x509.CertPool) []any { return nil }) })
}

// every calls look at each Interval until ctx ends.
func every(ctx context.Context, look func()) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			look()
		case <-ctx.Done():
			return
		}
	}
}

// kept is the value of some files that belong together.
type kept[T any] struct {
	paths   []string                  // immutable, like parse and log
	parse   func([][]byte) (T, error) // of the contents of paths
	log     *slog.Logger
	current atomic.Pointer[T]

	used    [][]byte // contents of current; used by look alone, like all below
	failed  string   // error of the last look; "" if there was none
	refused bool     // failed was logged
}

func open[T any](paths []string, parse func([][]byte) (T, error), log *slog.Logger) (*kept[T], error) {
	k := &kept[T]{paths: paths, parse: parse, log: log}
	value, texts, err := k.read()
	if err != nil {
		return nil, err
	}
	k.current.Store(&value)
	k.used = texts
	return k, nil
}

// read reads and parses the files. Contents that are in use already are not parsed.
func (k *kept[T]) read() (value T, texts [][]byte, err error) {
	same := len(k.used) > 0
	for i, path := range k.paths {
		text, err := regular.ReadFile(path, maxFileBytes)
		if err != nil {
			return value, nil, err
		}
		texts = append(texts, text)
		same = same && bytes.Equal(text, k.used[i])
	}
	if same {
		return *k.current.Load(), texts, nil
	}
	if value, err = k.parse(texts); err != nil {
		err = fmt.Errorf("%s: %w", k.paths[0], err)
	}
	return value, texts, err
}

// look reads the files again. An error is logged if the next look finds it, too: files that are being
// replaced do not match for a moment.
func (k *kept[T]) look(describe func(T) []any) {
	value, texts, err := k.read()
	if err != nil {
		switch again := err.Error() == k.failed; {
		case !again:
			k.failed, k.refused = err.Error(), false
		case !k.refused:
			k.refused = true
			k.log.Error("a changed certificate or key is not used; the one before it stays", "files", k.paths, "error", err)
		}
		return
	}
	k.failed, k.refused = "", false
	for i := range texts {
		if !bytes.Equal(texts[i], k.used[i]) {
			k.used = texts
			k.current.Store(&value)
			k.log.Info("a changed certificate is used from now on", append([]any{"file", k.paths[0]}, describe(value)...)...)
			return
		}
	}
}
