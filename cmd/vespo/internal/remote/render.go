package remote

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// Service is the part of an API response about a service that
// the commands show. Package admin documents the fields.
type Service struct {
	Version
	ABI         string   `json:"abi"`
	Exports     []string `json:"exports"` // of a component
	Imports     []string `json:"imports"`
	Target      string   `json:"target"`
	Prefix      string   `json:"prefix"`
	Match       string   `json:"match"`
	Origin      string   `json:"origin"`
	FreshReason string   `json:"fresh_reason"`
	Warnings    []string `json:"warnings"`
	Snapshot    int64    `json:"snapshot"`
	State       string   `json:"state"`
	Problem     string   `json:"problem"`
	Warm        int      `json:"warm"`
	InFlight    int      `json:"in_flight"`
	Requests    uint64   `json:"requests"`
	Errors      uint64   `json:"errors"`
	Queue       *struct{ Depth, Waiting, Leased, Damaged int }
	Schedules   []scheduled `json:"schedules"`
	Retiring    *retiring
	LastUsed    time.Time      `json:"last_used"`
	History     []Version      `json:"history"`
	Changes     []string       `json:"changes"` // nil for a new service
	Kept        []string       `json:"kept"`
	Traffic     *traffic       `json:"traffic"`
	Staged      uint64         `json:"staged"` // the version that the request has given a share; 0: none
	DryRun      bool           `json:"dry_run"`
	Follow      *following     `json:"follow"`  // of inspect, on a server that follows another one
	Store       *commonStore   `json:"store"`   // of inspect, on a server whose catalogue is in a common store
	Options     map[string]any `json:"options"` // fields that are not the default, without secrets
	// RolledBackTo is the generation that the version had before a rollback; 0 after other requests.
	RolledBackTo uint64 `json:"rolled_back_to"`
	URL          string `json:"url"` // of the service, if the server was reached by a listener that does not serve it
}

// retiring describes replaced versions that still have requests.
type retiring struct {
	Versions, Requests int
	Snapshot           int64
}

// Version is the part about one version, current or earlier.
type Version struct {
	Digest     string    `json:"digest"`
	Module     string    `json:"module_digest"`
	Kind       string    `json:"kind"`
	Number     uint64    `json:"number"`
	Generation uint64    `json:"generation"`
	Memory     int64     `json:"memory"`
	Timeout    string    `json:"timeout"`
	Isolation  string    `json:"isolation"`
	Size       int64     `json:"size"`
	Use        []string  `json:"use"`
	Deployed   time.Time `json:"deployed"`
	Message    string    `json:"message"`
	Author     string    `json:"author"`
}

// shortDigest returns the first 12 hex digits of a digest, enough to tell versions apart.
func shortDigest(digest string) string {
	_, hex, _ := strings.Cut(digest, ":")
	return hex[:min(12, len(hex))]
}

// target returns the destination of requests or, for a module, its ABI.
func (s *Service) target() string { return cmp.Or(s.Target, s.ABI) }

// bound returns the prefix and match of the service.
func (s *Service) bound() string { return strings.TrimSuffix(s.Prefix+" "+s.Match, " ") }

// guest reports whether the service is a module. Many fields have no meaning for other kinds.
func (s *Service) guest() bool { return s.Kind == "" || s.Kind == "wasm" || s.Kind == "wasm-function" }

// nowServed names the version that serves a service after a deploy or a rollback.
func nowServed(s *Service) string {
	if s.RolledBackTo == 0 {
		return fmt.Sprintf(": version %d,", s.Number)
	}
	return fmt.Sprintf(" to version %d:", s.Number)
}

// counted returns n and its noun, in the plural where needed.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// writeService writes the fields of a service, one per line, and a table of its earlier versions.
func writeService(to *screen, s *Service) error {
	t := newTable(to)
	optional := func(name, value string) {
		if value != "" {
			t.row(name, value)
		}
	}
	t.row("prefix", s.Prefix)
	optional("match", s.Match)
	optional("origin", s.Origin)
	t.row("state", s.State)
	optional("problem", s.Problem)
	optional("follows", s.Follow.text())
	optional("store", s.Store.text())
	for _, warning := range s.Warnings {
		t.row("warning", warning)
	}
	t.row("digest", s.Digest)
	optional("module", s.Module)
	t.row("version", s.Number)
	s.Traffic.addTo(t)
	t.row("generation", s.Generation)
	t.row("deployed", to.ago(s.Deployed))
	optional("author", s.Author)
	optional("message", s.Message)
	optional("kind", s.Kind)
	optional("target", s.Target)
	if s.guest() {
		t.row("abi", s.ABI)
		t.list("exports", s.Exports)
		t.list("imports", byPackage(s.Imports))
		t.row("memory", s.Memory)
	}
	optional("timeout", s.Timeout)
	if s.guest() {
		t.row("isolation", s.Isolation)
		optional("because", s.FreshReason)
		t.row("size", s.Size)
		t.row("snapshot", s.Snapshot)
		t.row("warm", s.Warm)
	}
	for i, digest := range s.Use {
		t.row(fmt.Sprintf("middleware %d", i+1), digest)
	}
	writeOptions(t, s.Options)
	for i, own := range s.Schedules {
		own.write(t, to, i+1)
	}
	t.row("in flight", s.InFlight)
	t.row("requests", s.Requests)
	t.row("errors", s.Errors)
	s.writeQueue(t)
	if r := s.Retiring; r != nil {
		text := counted(r.Versions, "version") + ", " + counted(r.Requests, "request")
		if r.Snapshot > 0 {
			text += ", snapshots of " + shown(r.Snapshot)
		}
		t.row("retiring", text)
	}
	t.row("last used", to.ago(s.LastUsed))
	t.paint = func(row int, _ string) paint { return rowPaint(to, t.rows[row]) }
	if err := t.flush(); err != nil || len(s.History) == 0 {
		return err
	}
	fmt.Fprintln(to, "\nother versions, the latest first:")
	return writeHistory(to, s)
}

// writeQueue adds the rows of a queue.
func (s *Service) writeQueue(t *table) {
	q := s.Queue
	if q == nil {
		return
	}
	t.row("waiting", fmt.Sprintf("%d of %d", q.Waiting, q.Depth))
	t.row("leased", q.Leased)
	if q.Damaged > 0 {
		t.row("damaged", q.Damaged)
	}
}

// rowPaint returns the colour of a property that needs attention, else nil.
func rowPaint(to *screen, row []string) paint {
	switch row[0] {
	case "state":
		return statePaint(to, row[1])
	case "problem":
		return to.paint.Red
	case "  last run":
		if strings.Contains(row[1], ": failed") || strings.Contains(row[1], ": interrupted") {
			return to.paint.Red
		}
	case "warning":
		return to.paint.Yellow
	}
	return nil
}

// writeOptions writes the fields of a service that have no row of their own, with a line for each value of a list.
func writeOptions(t *table, options map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if name == "timeout" || name == "memory" || name == "isolation" || name == "cron" {
			continue
		}
		title := stdio.Printable(strings.ReplaceAll(name, "_", " "))
		t.list(title, optionTexts(options[name]))
	}
}

// optionTexts formats the JSON value of a field, each value of a list by itself.
func optionTexts(value any) (texts []string) {
	switch value := value.(type) {
	case []any:
		for _, one := range value {
			texts = append(texts, fmt.Sprint(one))
		}
		return texts
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			texts = append(texts, fmt.Sprint(name, "=", value[name]))
		}
		return texts
	}
	if number, ok := value.(float64); ok { // JSON's only type of numbers
		return []string{strconv.FormatFloat(number, 'f', -1, 64)}
	}
	return []string{fmt.Sprint(value)}
}

// writeHistory writes a table of earlier versions, without the columns in which none has a value, and without the kind
// if all are of the current one.
func writeHistory(to *screen, s *Service) error {
	otherKind := slices.ContainsFunc(s.History, func(v Version) bool { return v.Kind != s.Kind })
	t := newTable(to)
	t.row("VERSION", "GENERATION", "AGE", "AUTHOR", "KIND", "SIZE", "MEMORY", "TIMEOUT", "ISOLATION", "MIDDLEWARE", "DIGEST", "MESSAGE")
	for _, v := range s.History {
		middleware := ""
		if len(v.Use) > 0 {
			middleware = fmt.Sprint(len(v.Use))
		}
		kind := ""
		if otherKind {
			kind = v.Kind
		}
		t.row(v.Number, v.Generation, to.age(v.Deployed), v.Author, kind, v.Size, v.Memory, v.Timeout, v.Isolation, middleware, shortDigest(v.Digest), v.Message)
	}
	t.dropEmpty()
	last := len(t.rows[0]) - 1
	if t.rows[0][last] == "MESSAGE" {
		t.cut = []int{last}
	}
	t.right = []int{0, 1}
	t.paint = func(row int, _ string) paint {
		if row == 0 {
			return to.paint.Bold
		}
		return nil
	}
	return t.flush()
}

// writeDeployed describes a deployed Service.
func writeDeployed(to *screen, what, base string, s *Service) error {
	if s.Staged != 0 {
		return writeStaged(to, s)
	}
	fmt.Fprintf(to, "%s %s%s ", what, stdio.Printable(s.bound()), nowServed(s))
	switch {
	case s.State == "elsewhere":
		fmt.Fprintf(to, "%s, served by %s\n", shown(s.Size), shown(s.Target))
	case s.guest():
		fmt.Fprintf(to, "%s, %s, memory %s, isolation %s\n", shown(s.ABI), shown(s.Size), shown(s.Memory), shown(s.Isolation))
	default:
		fmt.Fprintf(to, "%s to %s\n", shown(s.Kind), shown(s.Target))
	}
	if len(s.Exports) > 0 {
		fmt.Fprintf(to, "a component: exports %s, imports %s\n", stdio.Printable(strings.Join(s.Exports, ", ")), counted(len(s.Imports), "interface"))
	}
	if s.RolledBackTo != 0 && s.Message != "" {
		fmt.Fprintf(to, "message: %s\n", stdio.Printable(s.Message))
	}
	if s.FreshReason != "" {
		fmt.Fprintf(to, "each request gets a fresh instance: %s\n", stdio.Printable(s.FreshReason))
	}
	for _, warning := range s.Warnings {
		fmt.Fprintf(to, "%s %s\n", to.paint.Yellow("warning:"), stdio.Printable(warning))
	}
	for _, change := range s.Changes {
		fmt.Fprintln(to, stdio.Printable(change))
	}
	for _, option := range s.Kept {
		fmt.Fprintln(to, stdio.Printable(option)+" kept")
	}
	if s.Changes != nil && len(s.Changes) == 0 {
		fmt.Fprintln(to, "the version is the same as before")
	}
	_, err := fmt.Fprintf(to, "%s\n%s\n", stdio.Printable(s.Digest), stdio.Printable(cmp.Or(s.URL, base+s.Prefix)))
	return err
}

// writeStaged describes a version that was deployed for a share of the requests.
func writeStaged(to *screen, s *Service) error {
	what := "deployed"
	if s.DryRun {
		what = "would deploy"
	}
	fmt.Fprintf(to, "%s %s: version %d beside version %d\n", what, stdio.Printable(s.bound()), s.Staged, s.Number)
	for _, change := range s.Changes {
		fmt.Fprintln(to, stdio.Printable(change))
	}
	for _, option := range s.Kept {
		fmt.Fprintln(to, stdio.Printable(option)+" kept")
	}
	if s.Traffic == nil {
		return nil
	}
	return s.Traffic.write(to)
}

// writeDeployed writes a deploy's response in the chosen format.
func (f *clientFlags) writeDeployed(s stdio.Streams, c *Client, a *Answer, what string) error {
	return show(f, s, a, func(to *screen, deployed *Service) error { return writeDeployed(to, what, c.base, deployed) })
}
