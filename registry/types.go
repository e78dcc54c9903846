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

// MaxHistory is the number of earlier versions that are kept of a service, the current one not counted.
const MaxHistory = 10

// Prefix is the canonical text of what a service is bound to: a path prefix such as "/", "/test" or "/a/b", and perhaps a condition
// beside it, as in "/test Host: example.com". The router's parser decides what is canonical; the catalogue keys by it and asks only that
// it begins with a slash.
type Prefix string

// Generation numbers the changes of a catalogue: each commit takes the next one, whatever it changes. A version
// carries the generation in which it became current, so two deploys of the same module can be told apart.
type Generation uint64

// Digest names a blob by its content: "sha256:" and 64 lower-case hexadecimal digits.
type Digest string

const digestScheme = "sha256:"

// ErrDigest is matched by every error of [ParseDigest].
var ErrDigest = errors.New("not a digest")

// ParseDigest checks that s is a digest in its one accepted spelling.
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

// Options are what a user may ask for at a deploy. The zero value of each means the server's default at the time it
// is served, so that a changed default reaches the services that never asked for anything else.
type Options struct {
	MemoryBytes int64         // linear memory budget of one request
	Timeout     time.Duration // deadline of one request
	Isolation   string        // "snapshot" or "fresh"
	CGIArgs     bool          // a CGI command gets the words of an indexed query as arguments

	// Allow lists what the service may call: origins such as "https://api.example.com", and "http://NAME.vespo.internal"
	// for other services. Empty: nothing. None of these lists is changed once it is in a State.
	Allow []string
	// Config holds settings and secrets that the guest can ask for by name.
	Config map[string]string
	// Mounts are the directories that the guest can read: from the path that it sees to the path below the server's root.
	Mounts map[string]string

	// Use are the modules of the middleware in front of the service, the outermost first; their blobs are as much part of the version as its
	// own. UseConfig holds the settings that they can ask for.
	Use       []Digest
	UseConfig map[string]string
}

// Equal tells whether both ask for the same.
func (o Options) Equal(p Options) bool {
	return o.MemoryBytes == p.MemoryBytes && o.Timeout == p.Timeout && o.Isolation == p.Isolation && o.CGIArgs == p.CGIArgs &&
		slices.Equal(o.Allow, p.Allow) && maps.Equal(o.Config, p.Config) && maps.Equal(o.Mounts, p.Mounts) &&
		slices.Equal(o.Use, p.Use) && maps.Equal(o.UseConfig, p.UseConfig)
}

// Origin says who has asked for a version.
type Origin string

// The origins.
const (
	OriginAPI  Origin = ""     // the management API, or the command line by it
	OriginFile Origin = "file" // the server's configuration file
)

// Version is one deploy of a service.
type Version struct {
	Digest     Digest
	SizeBytes  int64  // size of the blob
	Kind       string // name of the services.Kind that can prepare it
	Options    Options
	Origin     Origin
	Generation Generation // of the commit that made it current
	Deployed   time.Time  // when that was, in UTC
}

// SameContent reports whether both versions would serve the same, whoever asked for them: blob, kind and options are equal.
func (v Version) SameContent(o Version) bool {
	return v.Digest == o.Digest && v.Kind == o.Kind && v.Options.Equal(o.Options)
}

// Service is a prefix with its current version and those before it.
type Service struct {
	Prefix  Prefix
	Current Version
	// History holds earlier versions, the one most recently current first, at most MaxHistory. Their contents differ
	// from each other and from the current one's: see RATIONALE.md.
	History []Version
}

// Problem is something found wrong with what is stored that did not keep the catalogue from opening. It is for the
// operator: it may name files of the host.
type Problem struct {
	Subject string // a file, a digest or a prefix
	Detail  string // what is wrong and what was done about it
	Err     error  // cause, may be nil
}

// String gives the problem as one line for a log.
func (p Problem) String() string {
	if p.Err == nil {
		return p.Subject + ": " + p.Detail
	}
	return p.Subject + ": " + p.Detail + ": " + p.Err.Error()
}
