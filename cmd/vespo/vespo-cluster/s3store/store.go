package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engineurl"
	"github.com/vespo-dev/vespo/registry"
)

// Bounds of connections.
const (
	dialTime    = 5 * time.Second
	idleTime    = time.Minute
	maxIdle     = 16
	maxAttempts = 3 // of a request
)

// Store is a cluster.Objects. Close it at the end.
type Store struct {
	cfg       Config          // immutable
	maxBytes  int64           // immutable: of a blob
	client    *minio.Client   // immutable
	transport *http.Transport // immutable
}

var _ cluster.Objects = (*Store)(nil)

// OpenURL is a cluster.ObjectsOpener. The object store need not be reachable.
func OpenURL(o cluster.ObjectsOptions) (cluster.Objects, error) {
	cfg, err := Parse(o.URL)
	if err != nil {
		return nil, err
	}
	return Open(cfg, o.MaxBytes)
}

// Open returns a Store of blobs of at most so many bytes. It connects to nothing.
func Open(cfg Config, maxBytes int64) (*Store, error) {
	config, err := cfg.tls()
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, maxBytes: maxBytes}
	s.transport = &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTime}).DialContext,
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   dialTime,
		ResponseHeaderTimeout: cfg.Timeout,
		IdleConnTimeout:       idleTime,
		MaxIdleConnsPerHost:   maxIdle,
		DisableCompression:    true,
	}
	lookup := minio.BucketLookupPath
	if cfg.VirtualHost {
		lookup = minio.BucketLookupDNS
	}
	keys, err := cfg.keys()
	if err != nil {
		return nil, err
	}
	s.client, err = minio.New(cfg.Endpoint.Host, &minio.Options{
		Creds:        keys,
		Secure:       cfg.Endpoint.Scheme == "https",
		Transport:    s.transport,
		Region:       cfg.Region,
		BucketLookup: lookup,
		MaxRetries:   maxAttempts,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg, err)
	}
	return s, nil
}

// keys returns the credentials. Those of a file are read again when they expire.
func (c Config) keys() (*credentials.Credentials, error) {
	if c.Credentials == "" {
		if os.Getenv("AWS_ACCESS_KEY_ID") == "" || os.Getenv("AWS_SECRET_ACCESS_KEY") == "" {
			return nil, engineurl.Refuse("it has no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or credentials")
		}
		return credentials.NewEnvAWS(), nil
	}
	if _, err := os.Stat(c.Credentials); err != nil {
		return nil, err
	}
	return credentials.NewFileAWSCredentials(c.Credentials, c.Profile), nil
}

// String returns the place of the blobs, without secrets.
func (s *Store) String() string { return s.cfg.String() }

// Close closes idle connections.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

func (s *Store) object(d registry.Digest) string { return path.Join(s.cfg.Prefix, blobDir, d.Hex()) }

// Put stores a blob. When it returns nil the object store has acknowledged all of it.
func (s *Store) Put(ctx context.Context, d registry.Digest, blob []byte) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	_, err := s.client.PutObject(ctx, s.cfg.Bucket, s.object(d), bytes.NewReader(blob), int64(len(blob)), minio.PutObjectOptions{
		ContentType:      "application/wasm",
		SendContentMd5:   true,
		DisableMultipart: true,
	})
	if err != nil {
		return s.failed(err)
	}
	return nil
}

// Get returns a blob. The error matches registry.ErrBlobMissing or registry.ErrBlobCorrupt where they apply.
func (s *Store) Get(ctx context.Context, d registry.Digest) ([]byte, error) {
	if _, err := registry.ParseDigest(string(d)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	object, err := s.client.GetObject(ctx, s.cfg.Bucket, s.object(d), minio.GetObjectOptions{})
	if err != nil {
		return nil, s.failed(err)
	}
	defer object.Close() // opened for reading only
	blob, err := io.ReadAll(io.LimitReader(object, s.maxBytes+1))
	switch {
	case err != nil && minio.ToErrorResponse(err).Code == "NoSuchKey":
		return nil, fmt.Errorf("%w: %s has none with the digest %s", registry.ErrBlobMissing, s, d)
	case err != nil:
		return nil, s.failed(err)
	case int64(len(blob)) > s.maxBytes:
		return nil, fmt.Errorf("%w: the object in %s has more than %d bytes", registry.ErrBlobCorrupt, s, s.maxBytes)
	}
	if got := registry.DigestOf(blob); got != d {
		return nil, fmt.Errorf("%w: %s has the content of %s in place of %s", registry.ErrBlobCorrupt, s, got, d)
	}
	return blob, nil
}

// checkName is the name of an object that Check asks for, below the prefix.
const checkName = "check"

// Check asks for an object, which need not exist. Without the right to list objects, S3 denies access to a missing one.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	object, err := s.client.GetObject(ctx, s.cfg.Bucket, path.Join(s.cfg.Prefix, checkName), minio.GetObjectOptions{})
	if err == nil {
		defer object.Close() // opened for reading only
		_, err = object.Read(make([]byte, 1))
	}
	switch code := minio.ToErrorResponse(err).Code; {
	case err == nil, errors.Is(err, io.EOF), code == minio.NoSuchKey, code == minio.AccessDenied:
		return nil
	}
	return s.failed(err)
}

// failed returns the error of an operation.
func (s *Store) failed(err error) error {
	if answer := minio.ToErrorResponse(err); answer.Code != "" && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s answered %s: %w", s, answer.Code, err)
	}
	return fmt.Errorf("%s: %w", s, err)
}
