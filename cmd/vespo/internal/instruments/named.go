package instruments

import "github.com/vespo-dev/vespo/services/observe/metrics"

// named is the state of one of several components of a kind.
type named[T any] struct {
	name  string
	stats T
}

// collect returns what each yields.
func collect[T any](each func(yield func(string, T))) (all []named[T]) {
	each(func(name string, stats T) { all = append(all, named[T]{name, stats}) })
	return all
}

// perName returns the field of a metric whose only label is the name of a component.
func perName[S, T any](d metrics.Desc, in func(S) []named[T], value func(T) float64) metrics.Field[S] {
	return metrics.Field[S]{
		Desc: d,
		Emit: func(s S, to *metrics.Sink) {
			for _, one := range in(s) {
				to.Value(value(one.stats), one.name)
			}
		},
	}
}
