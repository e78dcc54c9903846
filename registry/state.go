package registry

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/internal/routekey"
)

// Errors of the changes in this file.
var (
	// ErrNotFound is returned if no service has the key.
	ErrNotFound = errors.New("no such service")
	// ErrNoVersion is returned if the history does not hold the requested version.
	ErrNoVersion = errors.New("no such version in the history")
	// ErrInvalidState is returned if a state breaks a rule of [State.Check].
	ErrInvalidState = errors.New("invalid catalogue")
)

// State is a whole catalogue. It is immutable: a change creates a new one, which shares the unchanged parts.
type State struct {
	Generation Generation // of the last commit; zero in an empty catalogue that was never saved
	Services   map[routekey.Key]Service
	Records    map[string]Record // by name; nil if there is none
}

// Put binds v to key and sets v's generation. It returns the resulting state and service. The previously
// current version moves to the front of the history, unless v has the same content. A version in the history
// with v's content is removed from it, because it is current again as v.
func (s *State) Put(key routekey.Key, v Version) (*State, Service) {
	next := s.successor()
	v.Generation = next.Generation
	service := s.Services[key].With(key, v)
	next.Services[key] = service
	return next, service
}

// With returns the service at key after a deploy of v, whose generation is set: see [State.Put]. s is the zero
// Service if the key was free.
func (s Service) With(key routekey.Key, v Version) Service {
	v = readBack(v)
	v.Number, v.Staged = s.numberOf(v), false
	next := Service{Key: key, Last: s.Last}
	if v.Number == 0 {
		next.Last++
		v.Number = next.Last
	}
	next.Current, next.Canary = v, s.Canary.replaced(v)
	if !s.Key.IsZero() {
		next.History = pushHistory(s, v)
	}
	return next.Trimmed()
}

// readBack returns v as it will be read back from a store.
func readBack(v Version) Version {
	v.Deployed = v.Deployed.UTC().Round(0)
	v.Manifest = cmp.Or(v.Manifest, EmptyManifest)
	return v
}

// numberOf returns the number of the version with v's content, or 0.
func (s Service) numberOf(v Version) Number {
	if s.Key.IsZero() {
		return 0
	}
	for _, have := range s.Versions() {
		if have.SameContent(v) {
			return have.Number
		}
	}
	return 0
}

// Remove removes the service and its history.
func (s *State) Remove(key routekey.Key) (*State, error) {
	if _, ok := s.Services[key]; !ok {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, key)
	}
	next := s.successor()
	delete(next.Services, key)
	return next, nil
}

// Previous returns the version before the current one, which a rollback of key makes current again.
func (s *State) Previous(key routekey.Key) (Version, error) {
	service, ok := s.Services[key]
	if !ok {
		return Version{}, fmt.Errorf("%w: %s", ErrNotFound, key)
	}
	for _, v := range service.History {
		if !v.Staged {
			return v, nil
		}
	}
	return Version{}, fmt.Errorf("%w: %s has only ever had its current version", ErrNoVersion, key)
}

// At returns the version of key that was deployed in generation g, if it is still in the history. The
// current version is not in the history.
func (s *State) At(key routekey.Key, g Generation) (Version, error) {
	service, ok := s.Services[key]
	if !ok {
		return Version{}, fmt.Errorf("%w: %s", ErrNotFound, key)
	}
	for _, v := range service.History {
		if v.Generation == g {
			return v, nil
		}
	}
	unknown := &UnknownVersionError{Key: key, Generation: g, Current: service.Current.Generation}
	for _, v := range service.History {
		unknown.Known = append(unknown.Known, v.Generation)
	}
	return Version{}, unknown
}

// AtNumber is like At, for the number of a version.
func (s *State) AtNumber(key routekey.Key, n Number) (Version, error) {
	service, ok := s.Services[key]
	if !ok {
		return Version{}, fmt.Errorf("%w: %s", ErrNotFound, key)
	}
	if v, ok := service.Numbered(n); ok && n != service.Current.Number {
		return v, nil
	}
	return Version{}, service.Unknown(n)
}

// Unknown returns the error for a number that no earlier version has.
func (s Service) Unknown(n Number) error {
	unknown := &UnknownVersionError{Key: s.Key, Number: n, CurrentNumber: s.Current.Number}
	for _, v := range s.History {
		unknown.KnownNumbers = append(unknown.KnownNumbers, v.Number)
	}
	return unknown
}

// UnknownVersionError is the error of [State.At] and [State.AtNumber] for a version that the history does not have. It
// matches ErrNoVersion.
type UnknownVersionError struct {
	Key        routekey.Key
	Generation Generation
	Known      []Generation // in the history, the most recently current one first
	Current    Generation   // which is not in the history

	// Number is not zero if the version was asked for by its number. The fields above are then empty.
	Number        Number
	KnownNumbers  []Number
	CurrentNumber Number
}

func (e *UnknownVersionError) Error() string {
	if e.Number != 0 {
		return fmt.Sprintf("%s: version %d of %s", ErrNoVersion, e.Number, e.Key)
	}
	return fmt.Sprintf("%s: generation %d of %s", ErrNoVersion, e.Generation, e.Key)
}

// Unwrap returns ErrNoVersion.
func (e *UnknownVersionError) Unwrap() error { return ErrNoVersion }

// List returns the known generations or numbers as text.
func (e *UnknownVersionError) List() string {
	texts := make([]string, 0, len(e.Known)+len(e.KnownNumbers))
	for _, n := range e.KnownNumbers {
		texts = append(texts, strconv.FormatUint(uint64(n), 10))
	}
	for _, g := range e.Known {
		texts = append(texts, strconv.FormatUint(uint64(g), 10))
	}
	return strings.Join(texts, ", ")
}

// Sorted returns the services sorted by the text of their keys.
func (s *State) Sorted() []Service {
	type named struct { // moved while it is sorted, unlike a Service, which is large
		text string
		key  routekey.Key
	}
	order := make([]named, 0, len(s.Services))
	for key := range s.Services {
		order = append(order, named{key.String(), key})
	}
	slices.SortFunc(order, func(a, b named) int { return strings.Compare(a.text, b.text) })
	sorted := make([]Service, 0, len(order))
	for _, n := range order {
		sorted = append(sorted, s.Services[n.key])
	}
	return sorted
}

// Digests returns all digests that versions refer to, current or in a history, and that records refer to.
func (s *State) Digests() map[Digest]struct{} {
	named := make(map[Digest]struct{})
	for _, record := range s.Records {
		for _, digest := range record.Blobs {
			named[digest] = struct{}{}
		}
	}
	for _, service := range s.Services {
		for _, v := range service.Versions() {
			for _, b := range v.Blobs {
				named[b.Digest] = struct{}{}
			}
		}
	}
	return named
}

// LiveBlobs returns the digests of the blobs of all versions that get requests, each once, in the order of the services.
func (s *State) LiveBlobs() (all []Digest) {
	seen := make(map[Digest]struct{})
	for _, service := range s.Sorted() {
		for _, n := range service.Live() {
			v, _ := service.Numbered(n)
			for _, b := range v.Blobs {
				if _, ok := seen[b.Digest]; !ok {
					seen[b.Digest] = struct{}{}
					all = append(all, b.Digest)
				}
			}
		}
	}
	return all
}

// Check returns the first rule that s breaks. States made by Put and Remove are valid; those read from a
// store may not be.
func (s *State) Check() error {
	if err := s.checkRecords(); err != nil {
		return err
	}
	seen := make(map[Generation]routekey.Key)
	for key, service := range s.Services {
		if err := checkService(key, service); err != nil {
			return err
		}
		for _, v := range service.Versions() {
			if v.Generation == 0 || v.Generation > s.Generation {
				return invalid(key, "generation %d is not one of the catalogue's 1 to %d", v.Generation, s.Generation)
			}
			if other, ok := seen[v.Generation]; ok {
				return invalid(key, "generation %d is taken by %s", v.Generation, other)
			}
			seen[v.Generation] = key
		}
	}
	return nil
}

func checkService(key routekey.Key, service Service) error {
	if service.Key != key || !strings.HasPrefix(key.String(), "/") {
		return invalid(key, "the route key is malformed or kept under another one")
	}
	if len(service.History) > MaxHistory+MaxArms {
		return invalid(key, "%d versions in the history, at most %d can be", len(service.History), MaxHistory+MaxArms)
	}
	if err := service.checkTraffic(); err != nil {
		return invalid(key, "%s", err)
	}
	all := service.Versions()
	numbers, contents := make(map[Number]bool, len(all)), make(map[string]bool, len(all))
	for i, v := range all {
		if v.Number == 0 || v.Number > service.Last || numbers[v.Number] {
			return invalid(key, "a version has the number %d, which is taken or not one of 1 to %d", v.Number, service.Last)
		}
		numbers[v.Number] = true
		if err := checkVersion(key, v); err != nil {
			return err
		}
		content := v.content()
		if contents[content] {
			return invalid(key, "two versions have the same content (%s)", v.ContentDigest())
		}
		contents[content] = true
		if i > 0 && !v.Staged && v.Generation >= service.Current.Generation {
			return invalid(key, "a version in the history is newer than the current one")
		}
	}
	return nil
}

func checkVersion(key routekey.Key, v Version) error {
	if v.Kind == "" {
		return invalid(key, "a version has no kind")
	}
	for _, b := range v.Blobs {
		if _, err := ParseDigest(string(b.Digest)); err != nil {
			return invalid(key, "blob of %.60q: %v", b.Field, err)
		}
		if b.Field == "" || b.SizeBytes < 0 {
			return invalid(key, "a blob has no field or a negative size")
		}
	}
	return nil
}

func invalid(key routekey.Key, format string, args ...any) error {
	return fmt.Errorf("%w: service %.200q: %s", ErrInvalidState, key.String(), fmt.Sprintf(format, args...))
}

// successor returns a copy of s with the next generation and its own map.
func (s *State) successor() *State {
	next := &State{Generation: s.Generation + 1, Services: maps.Clone(s.Services), Records: s.Records}
	if next.Services == nil {
		next.Services = make(map[routekey.Key]Service)
	}
	return next
}

// pushHistory returns the history after v has replaced old's current version.
func pushHistory(old Service, v Version) []Version {
	var history []Version
	for _, earlier := range old.Versions() {
		if !earlier.SameContent(v) {
			history = append(history, earlier)
		}
	}
	return history
}
