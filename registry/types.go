package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// MaxHistory is the number of earlier versions kept for a service, not counting the current one.
const MaxHistory = 10

// Prefix is the canonical route key of a service: a path prefix such as "/", "/test" or "/a/b", optionally
// followed by a match, as in "/test Host: example.com". The router's parser defines the canonical form. The
// catalogue uses it as a key and requires only that it begins with a slash.
type Prefix string

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
	sum := sha256.Sum256(blob)
	return Digest(digestScheme + hex.EncodeToString(sum[:]))
}

// Hex returns the digits without the scheme, for file names and short listings.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), digestScheme) }

// Options are the options of a deploy. The zero value of each means the server's default at the time of
// serving, so that changed defaults reach all services that did not set the option.
type Options struct {
	MemoryBytes int64         // linear memory budget of one request
	Timeout     time.Duration // deadline of one request
	Isolation   string        // "snapshot" or "fresh"
	CGIArgs     bool          // a CGI command gets the words of an indexed query as arguments

	// Allow lists the permitted destinations of calls: origins such as "https://api.example.com", and
	// "http://NAME.vespo.internal" for other services. If it is empty, no calls are permitted. Slices and
	// maps of Options are not modified once they are in a State.
	Allow []string
	// Config holds settings and secrets that the guest can read by name.
	Config map[string]string
	// Mounts maps paths in the guest to the directories that it can read there, below the server's root.
	Mounts map[string]string

	// Use lists the middleware modules in front of the service, outermost first. Their blobs are part of the
	// version like its own. UseConfig holds their settings.
	Use       []Digest
	UseConfig map[string]string
}

// Equal reports whether o and p are the same options.
func (o Options) Equal(p Options) bool {
	return o.MemoryBytes == p.MemoryBytes && o.Timeout == p.Timeout && o.Isolation == p.Isolation && o.CGIArgs == p.CGIArgs &&
		slices.Equal(o.Allow, p.Allow) && maps.Equal(o.Config, p.Config) && maps.Equal(o.Mounts, p.Mounts) &&
		slices.Equal(o.Use, p.Use) && maps.Equal(o.UseConfig, p.UseConfig)
}

// Origin is the source of a request for a version.
type Origin string

// The origins.
const (
	OriginAPI  Origin = ""     // the management API, also when used by the command line
	OriginFile Origin = "file" // the server's configuration file
)

// Version is one deploy of a service.
type Version struct {
	Digest     Digest
	SizeBytes  int64  // of the blob
	Kind       string // name of the services.Kind that prepares it
	Options    Options
	Origin     Origin
	Generation Generation // of the commit that made it current
	Deployed   time.Time  // time of that commit, in UTC
}

// SameContent reports whether both versions serve the same, regardless of origin: blob, kind and options are
// equal.
func (v Version) SameContent(o Version) bool {
	return v.Digest == o.Digest && v.Kind == o.Kind && v.Options.Equal(o.Options)
}

// Service is a prefix with its current version and earlier ones.
type Service struct {
	Prefix  Prefix
	Current Version
	// History holds at most MaxHistory earlier versions, the most recently current one first. Their contents
	// differ from each other and from the current version's: see RATIONALE.md.
	History []Version
}

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
