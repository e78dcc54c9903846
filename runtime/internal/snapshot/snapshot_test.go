package snapshot

import (
	"cmp"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestImageOutlivesCloseWhileMapped(t *testing.T) {
	each(t, func(t *testing.T, r *Restorer) {
		cell, other := acquire(t, 4*pageBytes), acquire(t, 4*pageBytes)
		f := start(t, r, cell, 2, 3)
		g := start(t, r, other, 1, 4)
		require.NoError(t, f.im.Close())
		require.ErrorIs(t, f.im.Close(), ErrClosed)

		f.write(pageBytes, 3*pageBytes, 9, 1)
		f.reset()
		f.write(0, pageBytes, 9, 1)
		f.decommit()
		require.ErrorIs(t, r.Map(f.im, other), ErrClosed, "a closed image cannot be mapped over more cells")

		require.NoError(t, r.Map(g.im, cell), "another image takes its place: now it is gone")
		require.Equal(t, g.want, cell)
		_, err := r.Reset(f.im, cell, 0, &f.scratch)
		require.ErrorIs(t, err, ErrClosed)
		require.ErrorIs(t, r.Decommit(f.im, cell), ErrClosed)
		require.NoError(t, r.Wipe(cell))
		g.finish()
	})
}

func TestRestorerCloseReportsLeaks(t *testing.T) {
	for _, name := range methodNames {
		t.Run(name, func(t *testing.T) {
			r := openMethod(t, name)
			f := start(t, r, acquire(t, 2*pageBytes), 1, 1)
			require.ErrorContains(t, r.Close(), "1 images were not closed, 1 cells were not wiped")
			f.finish() // can still be released
			require.ErrorIs(t, r.Close(), ErrClosed)
			_, err := r.Capture(nil)
			require.ErrorIs(t, err, ErrClosed)
		})
	}
}

func TestArgumentsAreChecked(t *testing.T) {
	each(t, func(t *testing.T, r *Restorer) {
		cell := acquire(t, 4*pageBytes)
		f := start(t, r, cell, 2, 1)
		reset := func(cell []byte, touched int) error {
			_, err := r.Reset(f.im, cell, touched, &f.scratch)
			return err
		}
		capture := func(mem []byte) error {
			_, err := r.Capture(mem)
			return err
		}
		for _, c := range []struct {
			err  error
			says string
		}{
			{capture(make([]byte, 4096)), "capture of 4096 bytes: not a multiple of 65536"},
			{r.Map(f.im, cell[:pageBytes]), "cell of 65536 bytes is too small for an image of 131072"},
			{r.Map(f.im, cell[:3*pageBytes+1]), "cell of 196609 bytes: not a positive multiple"},
			{r.Map(f.im, nil), "cell of 0 bytes"},
			{reset(cell, -1), "-1 bytes touched"},
			{reset(cell, len(cell)+1), "262145 bytes touched in a cell of 262144"},
			{reset(cell[:pageBytes], 0), "too small"},
			{r.Decommit(f.im, cell[:pageBytes]), "too small"},
			{r.Wipe(nil), "wipe of 0 bytes"},
			{r.Wipe(cell[:10]), "wipe of 10 bytes"},
		} {
			require.ErrorContains(t, c.err, c.says)
		}
		f.same("after refused calls")
		f.finish()
	})
}

// faulty is a method with injected failures.
type faulty struct {
	method
	failing string
}

var errFault = errors.New("fault")

func (m *faulty) fails(operation string) error {
	if m.failing == operation {
		return errFault
	}
	return nil
}

func (m *faulty) capture(pieces []Piece) (golden, error) {
	if err := m.fails("capture"); err != nil {
		return golden{}, err
	}
	return m.method.capture(pieces)
}

func (m *faulty) mapOver(before, g *golden, cell []byte, touchedBytes int) error {
	return cmp.Or(m.fails("map"), m.method.mapOver(before, g, cell, touchedBytes))
}

func (m *faulty) decommit(g *golden, cell []byte) error {
	return cmp.Or(m.fails("decommit"), m.method.decommit(g, cell))
}

func (m *faulty) wipe(cell []byte) error {
	return cmp.Or(m.fails("wipe"), m.method.wipe(cell))
}

// TestFailuresAreReportedAndLeakNothing lets each operation fail once, and then succeed.
func TestFailuresAreReportedAndLeakNothing(t *testing.T) {
	for _, name := range methodNames {
		t.Run(name, func(t *testing.T) {
			r := openMethod(t, name)
			m := &faulty{method: r.method}
			r.method = m
			f := start(t, r, acquire(t, 4*pageBytes), 2, 1)
			for operation, attempt := range map[string]func() error{
				"capture":  func() error { _, err := r.Capture(f.want); return err },
				"map":      func() error { return r.Map(f.im, f.cell) },
				"decommit": func() error { return r.Decommit(f.im, f.cell) },
				"wipe":     func() error { return r.Wipe(f.cell) },
			} {
				m.failing = operation
				require.ErrorIs(t, attempt(), errFault, operation)
				m.failing = ""
			}
			f.remap()
			f.finish()
			require.NoError(t, r.Close(), "all references were given back")
		})
	}
}
