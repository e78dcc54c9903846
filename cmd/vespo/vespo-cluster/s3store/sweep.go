package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/registry"
)

// Names of objects below the prefix.
const (
	blobDir = "sha256"
	markDir = "unreferenced" // an object for each marked blob
)

const markText = "no version of the catalogue refers to the module\n"

const (
	// maxSkew is the most that the clock of this host may be ahead of that of the object store.
	maxSkew = 30 * time.Second
	// askTime is how long a signed question is valid.
	askTime = 5 * time.Minute
)

// Has reports whether there is a blob.
func (s *Store) Has(ctx context.Context, d registry.Digest) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	_, err := s.client.StatObject(ctx, s.cfg.Bucket, s.object(d), minio.StatObjectOptions{})
	switch {
	case err == nil:
		return true, nil
	case minio.ToErrorResponse(err).Code == minio.NoSuchKey:
		return false, nil
	}
	return false, s.failed(err)
}

// Blobs lists the blobs. Objects whose names are not digests are left out.
func (s *Store) Blobs(ctx context.Context) iter.Seq2[cluster.Object, error] {
	return s.list(ctx, blobDir)
}

// list lists the objects of a directory that have a digest as their name.
func (s *Store) list(ctx context.Context, dir string) iter.Seq2[cluster.Object, error] {
	begin := path.Join(s.cfg.Prefix, dir) + "/"
	return func(yield func(cluster.Object, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for info := range s.client.ListObjectsIter(ctx, s.cfg.Bucket, minio.ListObjectsOptions{Prefix: begin, Recursive: true}) {
			if info.Err != nil {
				yield(cluster.Object{}, s.failed(info.Err))
				return
			}
			name, ok := strings.CutPrefix(info.Key, begin)
			d, err := registry.ParseDigest("sha256:" + name)
			if !ok || err != nil {
				continue
			}
			if !yield(cluster.Object{Digest: d, SizeBytes: info.Size, Stored: info.LastModified}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(cluster.Object{}, s.failed(err))
		}
	}
}

// Marks lists the marked blobs.
func (s *Store) Marks(ctx context.Context) (map[registry.Digest]time.Time, error) {
	marks := make(map[registry.Digest]time.Time)
	for o, err := range s.list(ctx, markDir) {
		if err != nil {
			return nil, err
		}
		marks[o.Digest] = o.Stored
	}
	return marks, nil
}

// Mark sets or removes the mark of a blob.
func (s *Store) Mark(ctx context.Context, d registry.Digest, on bool) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	name := path.Join(s.cfg.Prefix, markDir, d.Hex())
	var err error
	if on {
		_, err = s.client.PutObject(ctx, s.cfg.Bucket, name, strings.NewReader(markText), int64(len(markText)), minio.PutObjectOptions{
			ContentType:      "text/plain",
			SendContentMd5:   true,
			DisableMultipart: true,
		})
	} else {
		err = s.client.RemoveObject(ctx, s.cfg.Bucket, name, minio.RemoveObjectOptions{})
	}
	if err != nil {
		return s.failed(err)
	}
	return nil
}

// Now returns the time by the clock of the object store, in seconds.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	_, header, err := s.ask(ctx, path.Join(s.cfg.Prefix, checkName))
	if err != nil {
		return time.Time{}, err
	}
	return s.time(header, "Date")
}

// time returns a time of a response.
func (s *Store) time(header http.Header, field string) (time.Time, error) {
	at, err := http.ParseTime(header.Get(field))
	if err != nil {
		return at, fmt.Errorf("%s: it answers with the %s %.80q", s, field, header.Get(field))
	}
	return at, nil
}

// ask sends a HEAD request for an object, which need not exist.
func (s *Store) ask(ctx context.Context, name string) (status int, header http.Header, err error) {
	u, _, err := s.sign(ctx, http.MethodHead, name, askTime)
	if err != nil {
		return 0, nil, err
	}
	return s.send(ctx, http.MethodHead, u)
}

// sign returns a signed request, which the object store refuses after a time, and when it was signed by the clock of this host.
func (s *Store) sign(ctx context.Context, method, name string, valid time.Duration) (u *url.URL, at time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	u, err = s.client.Presign(ctx, method, s.cfg.Bucket, name, valid, nil)
	if err == nil {
		at, err = time.Parse("20060102T150405Z", u.Query().Get("X-Amz-Date"))
	}
	if err != nil {
		return nil, at, s.failed(err)
	}
	return u, at, nil
}

// send sends a signed request once.
func (s *Store) send(ctx context.Context, method string, u *url.URL) (status int, header http.Header, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return 0, nil, s.failed(errors.New("its URL is not valid"))
	}
	resp, err := s.transport.RoundTrip(r)
	if err != nil {
		return 0, nil, s.failed(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10))
	return resp.StatusCode, resp.Header, nil
}

// deletion is a cluster.Deletion: a request that was signed when it was prepared.
type deletion struct {
	store   *Store
	digest  registry.Digest
	request *url.URL
}

// Deletion prepares the deletion of a blob.
func (s *Store) Deletion(ctx context.Context, d registry.Digest, now time.Time, valid time.Duration) (cluster.Deletion, error) {
	if _, err := registry.ParseDigest(string(d)); err != nil {
		return nil, err
	}
	u, at, err := s.sign(ctx, http.MethodDelete, s.object(d), valid)
	if err != nil {
		return nil, err
	}
	if ahead := at.Sub(now); ahead > maxSkew {
		return nil, fmt.Errorf("%s: the clock of this host is %s ahead of that of the object store, or preparing a deletion took so long", s, ahead)
	}
	return &deletion{s, d, u}, nil
}

// Delete implements cluster.Deletion.
func (x *deletion) Delete(ctx context.Context, age time.Duration) (sizeBytes int64, deleted bool, err error) {
	s := x.store
	status, header, err := s.ask(ctx, s.object(x.digest))
	if err != nil || status == http.StatusNotFound {
		return 0, false, err
	}
	if status != http.StatusOK {
		return 0, false, fmt.Errorf("%s answered %d", s, status)
	}
	now, err := s.time(header, "Date")
	if err != nil {
		return 0, false, err
	}
	stored, err := s.time(header, "Last-Modified")
	if err != nil || now.Sub(stored) < age {
		return 0, false, err
	}
	var size int64
	_, _ = fmt.Sscan(header.Get("Content-Length"), &size) // for the count alone
	switch status, _, err = s.send(ctx, http.MethodDelete, x.request); {
	case err != nil:
		return 0, false, fmt.Errorf("%w: %w", cluster.ErrUnsettled, err)
	case status/100 == 2:
		return size, true, nil
	case status/100 == 4:
		return 0, false, fmt.Errorf("%s answered %d to a deletion", s, status)
	}
	return 0, false, fmt.Errorf("%w: %s answered %d", cluster.ErrUnsettled, s, status)
}
