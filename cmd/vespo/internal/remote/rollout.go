package remote

import (
	"errors"
	"slices"
)

// rolloutFlags say how a new version gets its requests.
type rolloutFlags struct {
	Canary       string   `placeholder:"PERCENT" help:"Give the new version this share of the requests, such as 5%; the current version keeps the others."`
	For          string   `placeholder:"DURATION" help:"With --canary: how long the new version is on trial, such as 10m. Then it gets all requests, or none, if it had more errors or was slower. Not given: until \"vespo split\" or \"vespo rollback\"."`
	MinRequests  string   `placeholder:"N" help:"With --for: the requests that both versions have to serve before the trial is decided (100)."`
	MaxErrors    string   `placeholder:"PERCENT" help:"With --for: by how many percentage points its share of errors may be larger (1%)."`
	MaxLatency   string   `placeholder:"FACTOR" help:"With --for: how many times as long the slowest 5% of its answers may take (1.5)."`
	Sticky       string   `placeholder:"cookie:NAME|header:NAME" help:"With --canary: what keeps a client at one version."`
	Mirror       string   `placeholder:"PERCENT" help:"Give the new version a copy of this share of the requests. Its answers are compared and dropped."`
	MirrorHeader []string `placeholder:"NAME" sep:"none" help:"With --mirror: a header of the response that is compared besides status and body."`
	Smoke        []string `placeholder:"'METHOD PATH STATUS'" sep:"none" help:"A request that the new version has to answer before it is published, such as 'GET /health 200'; may be repeated."`
	DryRun       bool     `help:"Check and compile, and say what would change, but change nothing."`
}

// rolloutNames has the flag of each field.
func (f *rolloutFlags) fields() []struct{ field, flag, value string } {
	return []struct{ field, flag, value string }{
		{"canary", "--canary", f.Canary},
		{"canary_for", "--for", f.For},
		{"canary_requests", "--min-requests", f.MinRequests},
		{"canary_errors", "--max-errors", f.MaxErrors},
		{"canary_latency", "--max-latency", f.MaxLatency},
		{"sticky", "--sticky", f.Sticky},
		{"mirror", "--mirror", f.Mirror},
		{"mirror_header", "--mirror-header", ""},
		{"smoke", "--smoke", ""},
		{"dry_run", "--dry-run", ""},
	}
}

func (f *rolloutFlags) validate() error {
	switch {
	case f.For != "" && f.Canary == "":
		return errors.New("--for is given without --canary: give the share of the new version, such as --canary 5%")
	case f.Canary != "" && f.Mirror != "":
		return errors.New("--canary and --mirror are both given: give one of them")
	}
	return nil
}

// nameOf returns the flag of a field, or "".
func (f *rolloutFlags) nameOf(field string) string {
	all := f.fields()
	if i := slices.IndexFunc(all, func(one struct{ field, flag, value string }) bool { return one.field == field }); i >= 0 {
		return all[i].flag
	}
	return ""
}

// addTo adds the given flags to the fields of a request.
func (f *rolloutFlags) addTo(fields map[string]any) {
	for _, one := range f.fields() {
		if one.value != "" {
			fields[one.field] = one.value
		}
	}
	if len(f.MirrorHeader) > 0 {
		fields["mirror_header"] = f.MirrorHeader
	}
	if len(f.Smoke) > 0 {
		fields["smoke"] = f.Smoke
	}
	if f.DryRun {
		fields["dry_run"] = true
	}
}
