package main

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// step is a step of the form.
type step string

// The steps. Only a nest in the ground has the step depth.
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

// report is the state that the page contains: the current step and the inputs of the earlier steps.
type report struct {
	ID      string    `json:"id"` // random, set at the first step; identifies reports that are sent twice
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

// places are the valid inputs of the step place.
var places = []string{"roof", "tree", ground}

// newReport returns the initial state.
func newReport(now time.Time) report {
	return report{ID: rand.Text(), Begun: now.UTC().Truncate(time.Second), Step: stepPlace}
}

// noAction is the problem for an action that is invalid in the current step.
const noAction = "This step has no such button."

// after returns the state after an action with the given input. If the input is invalid, it returns r and a problem to
// show to the user.
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
		r.Step = stepDone // a real service would store the report here, under r.ID
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
