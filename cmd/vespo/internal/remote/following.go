package remote

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// following is how far a server is that follows another one.
type following struct {
	Primary           string  `json:"primary"`
	State             string  `json:"state"`
	Generation        uint64  `json:"generation"`
	PrimaryGeneration uint64  `json:"primary_generation"`
	Generations       uint64  `json:"generations_behind"`
	SecondsBehind     float64 `json:"seconds_behind"`
	Unavailable       int     `json:"unavailable"`
	Problem           string  `json:"problem"`
}

// write writes a line about the state, and one about its cause if there is a problem. It writes nothing for nil.
func (f *following) write(to io.Writer) {
	if f == nil {
		return
	}
	fmt.Fprintf(to, "follows %s\n", f.text())
	if f.Problem != "" {
		fmt.Fprintf(to, "  %s\n", stdio.Printable(f.Problem))
	}
}

// text describes the state in one line. It is empty for nil.
func (f *following) text() string {
	if f == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s at generation %d", stdio.Printable(f.Primary), stdio.Printable(f.State), f.Generation)
	if f.Generations > 0 {
		fmt.Fprintf(&b, " of %d", f.PrimaryGeneration)
	}
	if f.SecondsBehind > 0 {
		fmt.Fprintf(&b, ", up to date %s ago", time.Duration(f.SecondsBehind*float64(time.Second)).Round(time.Second))
	}
	if f.Unavailable > 0 {
		fmt.Fprintf(&b, ", %d unavailable here", f.Unavailable)
	}
	return b.String()
}
