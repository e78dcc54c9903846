package server

import (
	"fmt"
	"strings"

	"github.com/vespo-dev/vespo/registry"
)

// maxSubjects is how many subjects of one defect a line of the log names.
const maxSubjects = 3

// grouped returns the problems as lines for a log: one for all subjects that have the same defect, such as many files of others.
func grouped(problems []registry.Problem) (lines []string) {
	subjects := make(map[string][]string) // by detail
	for _, p := range problems {
		if p.Err == nil {
			subjects[p.Detail] = append(subjects[p.Detail], p.Subject)
		}
	}
	for _, p := range problems {
		all := subjects[p.Detail]
		switch {
		case p.Err != nil:
			lines = append(lines, p.String())
		case len(all) > maxSubjects:
			lines = append(lines, fmt.Sprintf("%d times, such as %s: %s", len(all), strings.Join(all[:maxSubjects], ", "), p.Detail))
		case len(all) > 0:
			lines = append(lines, strings.Join(all, ", ")+": "+p.Detail)
		}
		if p.Err == nil {
			delete(subjects, p.Detail)
		}
	}
	return lines
}
