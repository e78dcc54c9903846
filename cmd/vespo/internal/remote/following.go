package remote

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// lag is how far a server is behind.
type lag struct {
	State         string  `json:"state"`
	Generation    uint64  `json:"generation"`
	Generations   uint64  `json:"generations_behind"`
	SecondsBehind float64 `json:"seconds_behind"`
	Unavailable   int     `json:"unavailable"`
	Problem       string  `json:"problem"`
}

// text describes the state in one line. of is where the catalogue comes from.
func (l *lag) text(of string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s at generation %d", stdio.Printable(of), stdio.Printable(l.State), l.Generation)
	if l.Generations > 0 {
		fmt.Fprintf(&b, " of %d", l.Generation+l.Generations)
	}
	if l.SecondsBehind > 0 {
		fmt.Fprintf(&b, ", up to date %s ago", time.Duration(l.SecondsBehind*float64(time.Second)).Round(time.Second))
	}
	if l.Unavailable > 0 {
		fmt.Fprintf(&b, ", %d unavailable here", l.Unavailable)
	}
	return b.String()
}

// write writes a line about the state, and one about its cause if there is a problem.
func (l *lag) write(to io.Writer, line string) {
	fmt.Fprintln(to, line)
	if l.Problem != "" {
		fmt.Fprintf(to, "  %s\n", stdio.Printable(l.Problem))
	}
}

// following is how far a server is that follows another one.
type following struct {
	Primary string `json:"primary"`
	lag
}

// write writes lines about the state. It writes nothing for nil.
func (f *following) write(to io.Writer) {
	if f != nil {
		f.lag.write(to, "follows "+f.text())
	}
}

// text describes the state in one line. It is empty for nil.
func (f *following) text() string {
	if f == nil {
		return ""
	}
	return f.lag.text(f.Primary)
}

// commonStore is how far a server is with the store of a common catalogue.
type commonStore struct {
	URL string `json:"url"`
	lag
}

// write writes lines about the state. It writes nothing for nil.
func (c *commonStore) write(to io.Writer) {
	if c != nil {
		c.lag.write(to, "store "+c.text())
	}
}

// text describes the state in one line. It is empty for nil.
func (c *commonStore) text() string {
	if c == nil {
		return ""
	}
	return c.lag.text(c.URL)
}
