package metrics

import (
	"fmt"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// Type is the type of a metric.
type Type int

// The types of metrics.
const (
	Counter Type = iota
	Gauge
	Histogram
)

// String returns the name of the type as Prometheus writes it.
func (t Type) String() string { return strings.ToLower(t.dto().String()) }

func (t Type) dto() dto.MetricType {
	switch t {
	case Counter:
		return dto.MetricType_COUNTER
	case Histogram:
		return dto.MetricType_HISTOGRAM
	}
	return dto.MetricType_GAUGE
}

// Desc describes a metric. Labels are separated by spaces.
type Desc struct {
	Name   string
	Type   Type
	Labels string
	Help   string
}

// LabelNames returns the names of the labels.
func (d Desc) LabelNames() []string { return strings.Fields(d.Labels) }

// Unit returns the base unit of the metric, which is a part of its name, or "".
func (d Desc) Unit() string {
	name := strings.TrimSuffix(d.Name, "_total")
	for _, unit := range [...]string{"seconds", "bytes"} {
		if strings.HasSuffix(name, "_"+unit) {
			return unit
		}
	}
	return ""
}

// Field is a metric, and the function that emits its samples from a snapshot.
type Field[S any] struct {
	Desc
	Emit func(S, *Sink)
}

// Count returns the field of a counter without labels. Its name ends with _total.
func Count[S any, N number](name, help string, value func(S) N) Field[S] {
	return one(Desc{Name: name, Type: Counter, Help: help}, value)
}

// Level returns the field of a gauge without labels.
func Level[S any, N number](name, help string, value func(S) N) Field[S] {
	return one(Desc{Name: name, Type: Gauge, Help: help}, value)
}

type number interface {
	~int | ~int64 | ~uint64 | ~float64
}

func one[S any, N number](d Desc, value func(S) N) Field[S] {
	return Field[S]{Desc: d, Emit: func(s S, to *Sink) { to.Value(float64(value(s))) }}
}

// Group is a table of metrics whose values come from one snapshot.
type Group struct {
	Title string // for the documentation
	descs []Desc
	begin func() (emit func(i int, to *Sink))
}

// Descs returns the descriptions of the metrics, in the order of the table.
func (g Group) Descs() []Desc { return g.descs }

// Of returns the group of fields that are read from the snapshots of read. It is called once for each scrape.
func Of[S any](title string, read func() S, fields ...Field[S]) Group {
	g := Group{Title: title}
	for _, f := range fields {
		g.descs = append(g.descs, f.Desc)
	}
	g.begin = func() func(int, *Sink) {
		s := read()
		return func(i int, to *Sink) { fields[i].Emit(s, to) }
	}
	return g
}

// Sink receives the samples of one metric.
type Sink struct {
	desc   Desc
	labels []string
	family *dto.MetricFamily
}

func newSink(d Desc) *Sink {
	kind := d.Type.dto()
	return &Sink{desc: d, labels: d.LabelNames(), family: &dto.MetricFamily{Name: &d.Name, Help: &d.Help, Type: &kind}}
}

// Value adds a sample of a counter or gauge. The labels are values, in the order of Desc.Labels. No two samples of a metric
// may have the same labels.
func (s *Sink) Value(v float64, labels ...string) {
	m := s.add(labels)
	if s.desc.Type == Counter {
		m.Counter = &dto.Counter{Value: &v}
		return
	}
	m.Gauge = &dto.Gauge{Value: &v}
}

// Flag adds a sample that is 1 or 0.
func (s *Sink) Flag(on bool, labels ...string) {
	v := 0.0
	if on {
		v = 1
	}
	s.Value(v, labels...)
}

func (s *Sink) add(values []string) *dto.Metric {
	if len(values) != len(s.labels) {
		panic(fmt.Sprintf("metrics: %s has the labels %q, and got %q", s.desc.Name, s.labels, values))
	}
	m := &dto.Metric{}
	if len(values) > 0 {
		pairs := make([]dto.LabelPair, len(values))
		m.Label = make([]*dto.LabelPair, len(values))
		for i := range values {
			pairs[i].Name, pairs[i].Value = &s.labels[i], &values[i]
			m.Label[i] = &pairs[i]
		}
	}
	s.family.Metric = append(s.family.Metric, m)
	return m
}
