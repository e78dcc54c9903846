package history

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// right returns a history without a violation: deploys of a and b, a rollback to a, and a removal on host 0, and the deploy
// of c on host 1, whose client has no answer.
func right() *History {
	return &History{
		Changes: []Change{
			{Action: Deploy, Service: "s", Content: "a", Began: 1, Ended: 3, Generation: 1},
			{Action: Deploy, Service: "s", Content: "b", Began: 4, Ended: 6, Generation: 2},
			{Action: Deploy, Service: "s", Content: "no", Began: 7, Ended: 8, Outcome: Refused},
			{Action: RollBack, Service: "s", Began: 9, Ended: 11, Generation: 3},
			{Action: Remove, Service: "s", Began: 12, Ended: 14},
			{Action: Deploy, Service: "s", Content: "c", Host: 1, Began: 15, Ended: 17, Outcome: Unknown},
			{Action: Deploy, Service: "t", Content: "d", Host: 1, Began: 20, Ended: 22, Generation: 6},
		},
		Commits: []Commit{
			{Service: "s", Generation: 1, Content: "a"},
			{Service: "s", Generation: 2, Content: "b"},
			{Service: "s", Generation: 3, Content: "a"},
			{Service: "s", Generation: 4},
			{Service: "s", Generation: 5, Content: "c"},
			{Service: "t", Generation: 6, Content: "d"},
		},
		Sights: []Sight{
			{Service: "s", Host: 1, Began: 0, Ended: 0},
			{Service: "s", Host: 1, Began: 2, Ended: 3, Content: "a"},
			{Service: "s", Host: 1, Began: 5, Ended: 6, Content: "b"},
			{Service: "s", Host: 0, Began: 7, Ended: 8, Content: "b"},
			{Service: "s", Host: 1, Began: 10, Ended: 11, Content: "a"},
			{Service: "s", Host: 0, Began: 12, Ended: 13, Content: "a"},
			{Service: "s", Host: 1, Began: 13, Ended: 14, Failure: "refused", Excused: true},
			{Service: "s", Host: 1, Life: 1, Began: 14, Ended: 15, Content: "b"},
			{Service: "s", Host: 1, Life: 1, Began: 15, Ended: 16},
			{Service: "s", Host: 1, Life: 1, Began: 16, Ended: 18, Content: "c"},
		},
		Events: []Event{{ID: "once", Runs: 1}, {ID: "twice", Runs: 2}, {ID: "refused", Outcome: Refused}, {ID: "unknown", Outcome: Unknown, Runs: 1}},
	}
}

func TestRightHistory(t *testing.T) {
	require.Empty(t, right().Check())
	require.Equal(t, Counts{Acknowledged: 5, Refused: 1, Unknown: 1, Commits: 6, Sights: 10, Excused: 1, Accepted: 2, Repeated: 1}, right().Counts())
	lost := right()
	lost.Commits = slices.Delete(lost.Commits, 4, 5) // its client does not know
	lost.Sights = lost.Sights[:9]
	require.Empty(t, lost.Check())
	require.Empty(t, (&History{}).Check())
}

// TestNotReady lets a host refuse a service that was created anew, and no other.
func TestNotReady(t *testing.T) {
	refused := Sight{Service: "s", Host: 1, Life: 1, Began: 30, Ended: 31, Failure: "503", NotReady: true}
	served := Sight{Service: "s", Host: 1, Life: 1, Began: 32, Ended: 33, Content: "c"}
	h := right()
	h.Sights[9] = refused // after the removal, before the first sight of c
	h.Sights = append(h.Sights, served)
	require.Empty(t, h.Check())
	require.Equal(t, 1, h.Counts().NotReady)
	h = right()
	h.Sights = append(h.Sights, refused) // after c
	require.Len(t, h.Check(), 1)
	h = right()
	refused.Life = 2 // a start: it has to get all
	h.Sights = append(h.Sights, refused)
	require.Len(t, h.Check(), 1)
	h = right()
	refused.Life = 1
	h.Sights = append(h.Sights[:9:9], refused, Sight{Service: "s", Host: 1, Life: 1, Began: 34, Ended: 35, Content: "b"})
	require.Len(t, h.Check(), 1, "it had seen the removal")
}

// TestPlaced lets a request for a service of other hosts fail, and be answered by one of these that has not got it yet. Versions keep
// their order.
func TestPlaced(t *testing.T) {
	h := right()
	h.Sights = append(h.Sights,
		Sight{Service: "t", Host: 1, Began: 30, Ended: 31, Placed: true},
		Sight{Service: "t", Host: 1, Began: 32, Ended: 33, Placed: true, Content: "d"},
		Sight{Service: "t", Host: 1, Began: 34, Ended: 35, Placed: true, Failure: "503"})
	require.Empty(t, h.Check())
	require.Equal(t, 1, h.Counts().Placed)
	h.Sights = append(h.Sights, Sight{Service: "t", Host: 1, Began: 36, Ended: 37, Placed: true})
	require.Empty(t, h.Check())
	h.Sights = append(h.Sights, Sight{Service: "t", Host: 1, Began: 38, Ended: 39, Placed: true, Content: "no"})
	require.Len(t, h.Check(), 1, "it was never committed")
	h = right()
	h.Sights = append(h.Sights, Sight{Service: "s", Host: 1, Life: 1, Began: 30, Ended: 31, Placed: true, Content: "b"})
	found := h.Check()
	require.Len(t, found, 1)
	require.Contains(t, found[0], "went back")
}

// TestWrongHistories makes each kind of violation in a right history.
func TestWrongHistories(t *testing.T) {
	saw := func(h *History, s Sight) { h.Sights = append(h.Sights, s) }
	wrong := map[string]struct {
		spoil func(h *History)
		says  string
	}{
		"lost deploy":                 {func(h *History) { h.Commits = slices.Delete(h.Commits, 5, 6) }, "is lost"},
		"lost rollback":               {func(h *History) { h.Commits = slices.Delete(h.Commits, 2, 3) }, "is lost"},
		"lost removal":                {func(h *History) { h.Commits = slices.Delete(h.Commits, 3, 4) }, "acknowledged removal"},
		"removal at another time":     {func(h *History) { h.Changes[4].Began, h.Changes[4].Ended = 23, 24 }, "acknowledged removal"},
		"removal of none":             {func(h *History) { h.Changes[4].Outcome = Refused }, "no client has made the removal"},
		"other content":               {func(h *History) { h.Commits[1].Content = "a" }, "is lost"},
		"other service":               {func(h *History) { h.Commits[5].Service = "s" }, "is lost"},
		"one generation for two":      {func(h *History) { h.Changes[3].Generation = 2 }, "has the generation of another change"},
		"refused and made":            {func(h *History) { h.Commits[4].Content = "no" }, "refused change"},
		"refused and served":          {func(h *History) { saw(h, Sight{Service: "s", Host: 2, Began: 30, Ended: 31, Content: "no"}) }, "never committed"},
		"commit of no client":         {func(h *History) { h.Commits[4].Content = "x" }, "no client has deployed"},
		"rollback of no client":       {func(h *History) { h.Changes[3].Outcome = Refused }, "no client has rolled back"},
		"made twice":                  {func(h *History) { h.Commits = append(h.Commits, Commit{Service: "s", Generation: 7, Content: "b"}) }, "was made again"},
		"generations go back":         {func(h *History) { h.Commits[1].Generation = 1 }, "follows generation"},
		"order against time":          {func(h *History) { h.Changes[0].Began, h.Changes[0].Ended = 30, 31 }, "began after"},
		"failed request":              {func(h *History) { h.Sights[6].Excused = false }, "has failed"},
		"sight goes back":             {func(h *History) { saw(h, Sight{Service: "s", Host: 1, Life: 1, Began: 30, Ended: 31, Content: "b"}) }, "went back"},
		"sight goes back to none":     {func(h *History) { saw(h, Sight{Service: "s", Host: 1, Life: 1, Began: 30, Ended: 31}) }, "went back"},
		"behind its own answer":       {func(h *History) { saw(h, Sight{Service: "t", Host: 1, Began: 30, Ended: 31}) }, "went back"},
		"served before it was known":  {func(h *History) { saw(h, Sight{Service: "t", Host: 0, Began: 0, Ended: 1, Content: "d"}) }, "not deployed before"},
		"served what no client knows": {func(h *History) { saw(h, Sight{Service: "t", Host: 0, Began: 30, Ended: 31, Content: "x"}) }, "not deployed before"},
		"event that is lost":          {func(h *History) { h.Events[0].Runs = 0 }, "has not run"},
		"event that was refused":      {func(h *History) { h.Events[2].Runs = 1 }, "was refused and has run"},
		"absent before, then removed": {func(h *History) { saw(h, Sight{Service: "s", Host: 0, Began: 10, Ended: 11}); h.Sights[5].Began = 40 }, "went back"},
	}
	for name, c := range wrong {
		t.Run(name, func(t *testing.T) {
			h := right()
			c.spoil(h)
			found := h.Check()
			require.NotEmpty(t, found)
			require.Condition(t, func() bool {
				return slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, c.says) })
			}, "%q is not among %q", c.says, found)
		})
	}
}
