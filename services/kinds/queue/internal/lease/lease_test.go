package lease

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// at returns the time that many seconds after the start.
func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

// terms returns the terms of an entry with a deadline in seconds from the start, and a lease of 10 s.
func terms(deadline int, redeliver bool) Terms {
	return Terms{Deadline: at(deadline), Lease: 10 * time.Second, Redeliver: redeliver}
}

// TestPaths covers all transitions. A step is an operation, its time in seconds, and its expected result.
func TestPaths(t *testing.T) {
	type step struct {
		at   int
		do   string
		want string // for take: the entry; for answer and back: yes or no
	}
	for _, c := range []struct {
		name  string
		again bool
		steps []step
		ends  string // all ended entries, in order
	}{
		{"answered", false, []step{{0, "add a", ""}, {1, "take 1", "a"}, {2, "answer 1", "yes"}}, "a answered"},
		{"nobody takes it", false, []step{{0, "add a", ""}, {60, "advance", ""}}, "a expired"},
		{"taken too late", false, []step{{0, "add a", ""}, {60, "take 1", "-"}}, "a expired"},
		{"lease ends", false, []step{{0, "add a", ""}, {1, "take 1", "a"}, {11, "advance", ""}, {12, "answer 1", "no"}}, "a expired"},
		{"late answer ends nothing twice", false, []step{{0, "add a", ""}, {1, "take 1", "a"}, {11, "answer 1", "no"}}, "a expired"},
		{"handed out again", true, []step{{0, "add a", ""}, {1, "take 1", "a"}, {11, "take 2", "a"}, {12, "answer 1", "no"}, {13, "answer 2", "yes"}}, "a answered"},
		{"again in the order of coming", true, []step{{0, "add a", ""}, {0, "add b", ""}, {1, "take 1", "a"}, {2, "take 2", "b"}, {2, "add c", ""},
			{12, "take 3", "a"}, {12, "take 4", "b"}, {12, "take 5", "c"}}, ""},
		{"given back in the order of coming", false, []step{{0, "add a", ""}, {0, "add b", ""}, {1, "take 1", "a"}, {1, "take 2", "b"},
			{2, "back 1", "yes"}, {2, "back 2", "yes"}, {3, "take 3", "a"}, {3, "take 4", "b"}}, ""},
		{"again before those behind", true, []step{{0, "add a", ""}, {0, "add b", ""}, {1, "take 1", "a"}, {11, "take 2", "a"}, {11, "take 3", "b"}}, ""},
		{"deadline ends the lease", true, []step{{0, "add a", ""}, {55, "take 1", "a"}, {60, "advance", ""}, {61, "answer 1", "no"}}, "a expired"},
		{"not for ever", true, []step{{0, "add a", ""}, {1, "take 1", "a"}, {11, "take 2", "a"}, {21, "take 3", "a"}, {31, "take 4", "a"},
			{41, "take 5", "a"}, {51, "take 6", "-"}}, "a expired"},
		{"answered once", false, []step{{0, "add a", ""}, {1, "take 1", "a"}, {2, "answer 1", "yes"}, {2, "answer 1", "no"}}, "a answered"},
		{"unknown lease", false, []step{{0, "add a", ""}, {1, "answer 1", "no"}, {1, "answer ", "no"}}, ""},
		{"given back", false, []step{{0, "add a", ""}, {0, "add b", ""}, {1, "take 1", "a"}, {2, "back 1", "yes"}, {3, "answer 1", "no"}, {3, "take 2", "a"}, {3, "back 1", "no"}}, ""},
		{"leaves while waiting", false, []step{{0, "add a", ""}, {1, "leave a", ""}, {2, "take 1", "-"}}, "a gone"},
		{"leaves while leased", true, []step{{0, "add a", ""}, {1, "take 1", "a"}, {2, "leave a", ""}, {3, "answer 1", "no"}, {4, "leave a", ""}, {20, "take 2", "-"}}, "a gone"},
		{"leaves after the answer", false, []step{{0, "add a", ""}, {1, "take 1", "a"}, {2, "answer 1", "yes"}, {3, "leave a", ""}}, "a answered"},
		{"full", false, []step{{0, "add a", ""}, {0, "add b", ""}, {0, "add c", "full"}, {1, "take 1", "a"}, {1, "add c", ""}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var ends []string
			entries := map[string]*Entry{}
			q := New(func(e *Entry) { ends = append(ends, fmt.Sprint(e.Value, " ", e.State)) })
			said := func(ok bool) string { return map[bool]string{true: "yes", false: "no"}[ok] }
			for _, s := range c.steps {
				var verb, arg, got string
				fmt.Sscan(s.do, &verb, &arg)
				switch verb {
				case "add":
					e, err := q.Add(at(s.at), 2, terms(60, c.again), arg)
					if err != nil {
						require.ErrorIs(t, err, ErrFull)
						got = "full"
					}
					entries[arg] = e
				case "take":
					got = "-"
					if e := q.Take(at(s.at), arg); e != nil {
						got = e.Value.(string)
					}
				case "answer":
					got = said(q.Answer(at(s.at), arg) != nil)
				case "back":
					got = said(q.GiveBack(at(s.at), arg))
				case "leave":
					q.Leave(entries[arg])
				case "advance":
					q.Advance(at(s.at))
				}
				require.Equal(t, s.want, got, "%+v", s)
			}
			var want []string
			if c.ends != "" {
				want = []string{c.ends}
			}
			require.Equal(t, want, ends)
		})
	}
}

func TestNextIsTheFirstThatIsDue(t *testing.T) {
	q := New(func(*Entry) {})
	require.Zero(t, q.Next())
	for _, deadline := range []int{60, 40, 50} {
		_, err := q.Add(at(0), 9, terms(deadline, true), deadline)
		require.NoError(t, err)
	}
	require.Equal(t, at(40), q.Next())
	require.Equal(t, 60, q.Take(at(1), "1").Value)
	require.Equal(t, at(11), q.Next())
	require.False(t, q.Advance(at(10)))
	require.True(t, q.Advance(at(11)), "an entry waits again")
	require.Equal(t, at(40), q.Next())
	require.False(t, q.Advance(at(70)))
	require.Zero(t, q.Next())
}

func TestRestore(t *testing.T) {
	var ends []string
	q := New(func(e *Entry) { ends = append(ends, fmt.Sprint(e.Value, " ", e.State)) })
	q.Restore(Entry{Terms: terms(60, false), Value: "waits"})
	q.Restore(Entry{Terms: terms(60, false), Value: "leased", LeaseID: "1", LeaseEnd: at(20), Deliveries: 1})
	q.Restore(Entry{Terms: terms(60, true), Value: "lease is over", LeaseID: "2", LeaseEnd: at(5), Deliveries: 1})
	q.Restore(Entry{Terms: terms(5, true), Value: "too late"})
	require.Equal(t, "waits", q.Take(at(10), "3").Value)
	require.Equal(t, "leased", q.Answer(at(11), "1").Value)
	require.Equal(t, "lease is over", q.Take(at(12), "4").Value)
	require.Equal(t, []string{"too late expired", "leased answered"}, ends)
}
