package metrics

import (
	"strconv"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/observe/tally"
)

// series has the counts of one version, as a scrape reads them.
type series struct {
	*tally.Counters
	labels  [2]string // service and version
	created *timestamppb.Timestamp
}

// allSeries returns the series of all versions, and of requests that no service has served.
func allSeries(t *tally.Tally) []series {
	none := new(tally.Counters)
	var all []series
	add := func(v *tally.Version, number string) {
		s := series{Counters: v.Counters(), labels: [2]string{v.Service.Name, number}, created: timestamppb.New(v.Created)}
		if s.Counters == nil {
			s.Counters = none
		}
		all = append(all, s)
	}
	for _, v := range t.Unserved() {
		add(v, "")
	}
	for _, v := range t.Versions() {
		number := strconv.FormatUint(v.Number, 10)
		if last := len(all) - 1; all[last].labels != [2]string{v.Service.Name, number} { // else of a removed service with that name
			add(v, number)
		}
	}
	return all
}

// className returns the label of a class of statuses.
func className(i int) string {
	if i == 0 {
		return "none"
	}
	return strconv.Itoa(i) + "xx"
}

// failed returns the requests that were answered with a status of 500 or above, or broken off by the server.
func (s *series) failed() (n uint64) {
	for i, name := range tally.OutcomeNames() {
		for class := range s.Requests[i] {
			if class == 5 || name == accesslog.OutcomeAborted {
				n += s.Requests[i][class].Load()
			}
		}
	}
	return n
}
