package budget

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// deadlines is a response writer that records the read deadlines.
type deadlines struct {
	http.ResponseWriter
	set []time.Duration
	at  time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.set = append(d.set, t.Sub(d.at))
	return nil
}

func TestPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &deadlines{at: time.Now()}
		text := strings.Repeat("x", 5*Rate/2)
		r := Paced(iotest.HalfReader(strings.NewReader(text)), http.NewResponseController(d), time.Time{})
		got := make([]byte, 0, len(text))
		buf := make([]byte, Rate)
		for {
			n, err := r.Read(buf)
			got = append(got, buf[:n]...)
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
		}
		require.Equal(t, text, string(got))
		require.Equal(t, []time.Duration{Grace, Grace + time.Second, Grace + 2*time.Second}, d.set, "the deadline moves with what arrives")

		d = &deadlines{at: time.Now()}
		_, err := io.ReadAll(Paced(strings.NewReader(text), http.NewResponseController(d), time.Now().Add(3*time.Second)))
		require.NoError(t, err)
		require.Equal(t, []time.Duration{3 * time.Second}, d.set, "not beyond the bound")
	})
}
