package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
)

// Bounds of the versions of a service. A version that would exceed one is dropped from the end of the history, but
// never the first one of it, to which a rollback returns.
const (
	// MaxHistory is the number of earlier versions kept for a service, not counting the current one.
	MaxHistory = 99
	// MaxVersionBytes bounds the blobs of a service's versions. A blob of several versions counts once.
	MaxVersionBytes = 512 << 20
	// MaxManifestBytes bounds the manifests of a service's versions: every commit writes all of them.
	MaxManifestBytes = 1 << 20
)

// Number numbers the versions of a service: 1, 2, 3. It belongs to a content: a version that is deployed again, or
// rolled back to, keeps its number. A number is not given to another content while the service exists.
type Number uint64

// Generation numbers the changes of a catalogue: each commit takes the next number. A version has the
// generation in which it became current, so that two deploys of the same module can be distinguished.
type Generation uint64

// Digest identifies a blob by its content: "sha256:" and 64 lower-case hexadecimal digits.
type Digest string

const digestScheme = "sha256:"

// ErrDigest is matched by every error of [ParseDigest].
var ErrDigest = errors.New("not a digest")

// ParseDigest checks that s is a digest in the canonical spelling.
func ParseDigest(s string) (Digest, error) {
	digits, ok := strings.CutPrefix(s, digestScheme)
	if !ok || len(digits) != hex.EncodedLen(sha256.Size) || strings.Trim(digits, "0123456789abcdef") != "" {
		return "", fmt.Errorf("%w: %.80q (want sha256: and 64 lower-case hexadecimal digits)", ErrDigest, s)
	}
	return Digest(s), nil
}

// DigestOf computes the digest of a blob.
func DigestOf(blob []byte) Digest {
	return digestOfSum(sha256.Sum256(blob))
}

// ReadDigest reads a blob to its end, without keeping it, and returns its digest and its size in bytes.
func ReadDigest(from io.Reader) (d Digest, sizeBytes int64, err error) {
	sum := sha256.New()
	if sizeBytes, err = io.Copy(sum, from); err != nil {
		return "", 0, err
	}
	return digestOfSum([sha256.Size]byte(sum.Sum(nil))), sizeBytes, nil
}

func digestOfSum(sum [sha256.Size]byte) Digest {
	return Digest(digestScheme + hex.EncodeToString(sum[:]))
}

// Hex returns the digits without the scheme, for file names and short listings.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), digestScheme) }

// Manifest describes a version: a JSON object in canonical form, with the fields that the kind of the version defines.
// Equal manifests are equal strings. The catalogue does not interpret them.
type Manifest string

// EmptyManifest has no fields. A State has it in place of an empty string.
const EmptyManifest Manifest = "{}"

// Blob is a blob of a version.
type Blob struct {
	Field     string // name of the field that it is a value of, such as "module"
	Digest    Digest
	SizeBytes int64
}

// Origin is the source of a request for a version.
type Origin string

// The origins.
const (
	OriginAPI  Origin = ""     // the management API, also when used by the command line
	OriginFile Origin = "file" // the server's configuration file
)

// Note is what a client says about a version that it deploys. It has no effect on how the version serves.
type Note struct {
	Message string // what has changed, in one line
	Author  string // who deployed it; not verified
}

// Version is one deploy of a service. Slices are not modified once they are in a State.
type Version struct {
	Kind       string // name of the services.Kind that prepares it
	Manifest   Manifest
	Blobs      []Blob // in the order of their fields' names; several of one field in their own order
	Origin     Origin
	Note       Note
	Number     Number     // among the versions of its service, from 1
	Staged     bool       // it has never been the current version, as it was deployed for a share of the requests
	Generation Generation // of the commit that made it current
	Deployed   time.Time  // time of that commit, in UTC
}

// SameContent reports whether both versions serve the same, regardless of origin and note: kind, manifest and blobs are equal.
func (v Version) SameContent(o Version) bool {
	return v.Kind == o.Kind && v.Manifest == o.Manifest && slices.EqualFunc(v.Blobs, o.Blobs, Blob.same)
}

// content returns a text that two versions share if and only if SameContent holds. It is cheaper than the digest.
func (v Version) content() string {
	var b strings.Builder
	for _, text := range []string{v.Kind, string(v.Manifest)} {
		b.WriteString(strconv.Itoa(len(text)))
		b.WriteByte(' ')
		b.WriteString(text)
	}
	for _, blob := range v.Blobs {
		b.WriteString(strconv.Quote(blob.Field))
		b.WriteString(string(blob.Digest))
	}
	return b.String()
}

// same reports whether both are the same content of the same field. The digest implies the size.
func (b Blob) same(o Blob) bool { return b.Field == o.Field && b.Digest == o.Digest }

// Size returns the size of all blobs.
func (v Version) Size() (bytes int64) {
	for _, b := range v.Blobs {
		bytes += b.SizeBytes
	}
	return bytes
}

// BlobsOf returns the digests of the blobs of a field.
func (v Version) BlobsOf(field string) (digests []Digest) {
	for _, b := range v.Blobs {
		if b.Field == field {
			digests = append(digests, b.Digest)
		}
	}
	return digests
}

// Service is a route key with its current version and earlier ones.
type Service struct {
	Key     routekey.Key
	Current Version
	// History holds at most MaxHistory earlier versions, the most recently current one first. Their contents
	// differ from each other and from the current version's: see RATIONALE.md.
	History []Version
	Last    Number // the highest number that a version has had
	Split   Split
	Mirror  Mirror
	Canary  Canary // the running or the last one
}

// Numbered returns the version with a number.
func (s Service) Numbered(n Number) (Version, bool) {
	for _, v := range s.Versions() {
		if v.Number == n {
			return v, true
		}
	}
	return Version{}, false
}

// Versions returns the current version, followed by the history.
func (s Service) Versions() []Version { return append([]Version{s.Current}, s.History...) }

// Problem is a defect in the stored catalogue that did not prevent opening it. It is for the operator: it may
// contain file names of the host.
type Problem struct {
	Subject string // a file, a digest or a prefix
	Detail  string // the defect and the action taken
	Err     error  // cause; may be nil
}

// String returns the problem as one line for a log.
func (p Problem) String() string {
	if p.Err == nil {
		return p.Subject + ": " + p.Detail
	}
	return p.Subject + ": " + p.Detail + ": " + p.Err.Error()
}
