package main

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// step is where somebody is in the form.
type step string

// The steps. Who reports a nest in the ground is asked one thing more.
//
//	place ──> contact ──> confirm ──> done
//	  └─> depth ──┘
const (
	stepPlace   step = "place"
	stepDepth   step = "depth"
	stepContact step = "contact"
	stepConfirm step = "confirm"
	stepDone    step = "done"
)

// report is the state: the step, and what was said before it. It is what the page carries.
type report struct {
	ID      string    `json:"id"` // drawn at the first step: whoever files reports can tell one that was sent twice
	Begun   time.Time `json:"begun"`
	Step    step      `json:"step"`
	Place   string    `json:"place,omitempty"`
	Depth   string    `json:"depth,omitempty"`
	Contact string    `json:"contact,omitempty"`
}

const (
	ground          = "ground"
	maxContactChars = 200
)

// places are what can be chosen.
var places = []string{"roof", "tree", ground}

// newReport is the state at the beginning.
func newReport(now time.Time) report {
	return report{ID: rand.Text(), Begun: now.UTC().Truncate(time.Second), Step: stepPlace}
}

// noAction is the problem of a button that the step does not have.
const noAction = "This step has no such button."

// after gives the state that follows when a button was pressed with an answer filled in. If it is the same, problem tells the
// person why.
func (r report) after(action, answer string) (next report, problem string) {
	switch action {
	case "next":
		return r.next(strings.TrimSpace(answer))
	case "back":
		return r.back()
	}
	return r, noAction
}

func (r report) next(answer string) (next report, problem string) {
	switch r.Step {
	case stepPlace:
		if !slices.Contains(places, answer) {
			return r, "Please choose a place."
		}
		r.Place, r.Depth, r.Step = answer, "", stepContact
		if answer == ground {
			r.Step = stepDepth
		}
	case stepDepth:
		if answer != "shallow" && answer != "deep" {
			return r, "Please say how deep it is."
		}
		r.Depth, r.Step = answer, stepContact
	case stepContact:
		if answer == "" || utf8.RuneCountInString(answer) > maxContactChars {
			return r, "Please say how we can reach you, in at most 200 characters."
		}
		r.Contact, r.Step = answer, stepConfirm
	case stepConfirm:
		r.Step = stepDone // here a real service would file the report with another one, under r.ID
	default:
		return r, noAction
	}
	return r, ""
}

func (r report) back() (next report, problem string) {
	switch {
	case r.Step == stepDepth, r.Step == stepContact && r.Place != ground:
		r.Step = stepPlace
	case r.Step == stepContact:
		r.Step = stepDepth
	case r.Step == stepConfirm:
		r.Step = stepContact
	default:
		return r, noAction
	}
	return r, ""
}
