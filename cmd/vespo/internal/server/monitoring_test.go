package server

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
)

const monitoringPath = "../../../../docs/monitoring/"

// expressions returns the queries of the dashboard and of the alert rules.
func expressions(t *testing.T) []string { return append(dashboardQueries(t), alertQueries(t)...) }

func dashboardQueries(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile(monitoringPath + "dashboard.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			Type    string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Query any }
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	for _, p := range dashboard.Panels {
		require.True(t, p.Type == "row" || len(p.Targets) > 0)
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
	}
	for _, v := range dashboard.Templating.List {
		if query, ok := v.Query.(map[string]any); ok {
			inner, ok := strings.CutPrefix(query["query"].(string), "label_values(")
			require.True(t, ok)
			all = append(all, inner[:strings.LastIndex(inner, ",")])
		}
	}
	return all
}

func alertQueries(t *testing.T) (all []string) {
	rules, err := os.ReadFile(monitoringPath + "alerts.yml")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`(?m)^ +expr: '(.*)'$`).FindAllStringSubmatch(string(rules), -1) {
		all = append(all, m[1])
	}
	require.Equal(t, strings.Count(string(rules), "alert:"), strings.Count(string(rules), "expr: '"))
	return all
}

var (
	selector  = regexp.MustCompile(`\b((?:vespo|go|process)_[a-z_]+)(?:\{([^}]*)\})?`)
	matcher   = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"`)
	ofHosts   = regexp.MustCompile("^vespo_(store|follow|[a-z]+_engine)_")
	aggregate = regexp.MustCompile(`\bby \(([^)]*)\)`)
)

// TestMonitoringUsesWhatAScrapeHas checks the dashboard, the rules and the page about them against a scrape.
func TestMonitoringUsesWhatAScrapeHas(t *testing.T) {
	families := scrape(t, measuredServer(t))
	external := []string{"job", "instance", "le"} // of Prometheus, and of buckets
	for _, expr := range expressions(t) {
		known := slices.Clone(external)
		for _, m := range selector.FindAllStringSubmatch(expr, -1) {
			labels := labelsIn(families, m[1])
			if labels == nil {
				labels = labelsOfHosts(t, m[1])
			}
			require.NotNil(t, labels, "%s in %s", m[1], expr)
			for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
				require.Contains(t, append(labels, external...), l[1], expr)
			}
			known = append(known, labels...)
		}
		for _, m := range aggregate.FindAllStringSubmatch(expr, -1) {
			for label := range strings.SplitSeq(m[1], ",") {
				require.Contains(t, known, strings.TrimSpace(label), expr)
			}
		}
	}
	page, err := os.ReadFile(monitoringPath + "README.md")
	require.NoError(t, err)
	for _, name := range regexp.MustCompile("`((?:vespo|go|process)_[a-z_]+)`").FindAllStringSubmatch(string(page), -1) {
		require.NotNil(t, labelsIn(families, name[1]), name[1])
	}
}

// TestAlertsHavePanels looks for the metrics of alerts about hosts and engines in the dashboard, and at the places of its panels.
func TestAlertsHavePanels(t *testing.T) {
	shown := strings.Join(dashboardQueries(t), "\n")
	for _, expr := range alertQueries(t) {
		for _, m := range selector.FindAllStringSubmatch(expr, -1) {
			if ofHosts.MatchString(m[1]) {
				require.Regexp(t, `\b`+m[1]+`\b`, shown, "no panel shows it")
			}
		}
	}
	text, err := os.ReadFile(monitoringPath + "dashboard.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	ids, cells := make(map[int]bool), make(map[[2]int]string)
	for _, p := range dashboard.Panels {
		require.False(t, ids[p.ID], p.Title)
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				cell := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				require.Empty(t, cells[cell], p.Title)
				cells[cell] = p.Title
			}
		}
	}
}

// labelsOfHosts returns the documented labels of a metric that only servers among other hosts have, or with engines.
func labelsOfHosts(t *testing.T, name string) []string {
	t.Helper()
	page, err := os.ReadFile(monitoringPath + "../metrics.md")
	require.NoError(t, err)
	row := regexp.MustCompile("(?m)^\\| `" + name + "` \\| [a-z]+ \\| (.*?) ?\\| ").FindSubmatch(page)
	if row == nil || !ofHosts.MatchString(name) {
		return nil
	}
	labels := []string{}
	for _, label := range regexp.MustCompile("`([a-z_]+)`").FindAllSubmatch(row[1], -1) {
		labels = append(labels, string(label[1]))
	}
	return labels
}

// labelsIn returns the labels of a metric or of a part of a histogram, nil if there is no such metric.
func labelsIn(families map[string]*dto.MetricFamily, name string) []string {
	f := families[name]
	for _, suffix := range [...]string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, suffix); f == nil && ok {
			f = families[base]
		}
	}
	if f == nil {
		return nil
	}
	labels := []string{}
	for _, l := range f.Metric[0].Label {
		labels = append(labels, l.GetName())
	}
	return labels
}

// TestMonitoringParses checks the rules, and the queries of the dashboard as rules, with Prometheus' own tool.
func TestMonitoringParses(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is missing: install the package prometheus")
	}
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, expr := range expressions(t) {
		expr = strings.NewReplacer("$__rate_interval", "1m", "$job", "j", "$instance", "i", "$service", "s").Replace(expr)
		fmt.Fprintf(&rules, "  - record: query:number%d\n    expr: '%s'\n", i, expr)
	}
	queries := filepath.Join(t.TempDir(), "queries.yml")
	require.NoError(t, os.WriteFile(queries, []byte(rules.String()), 0o600))
	out, err := exec.CommandContext(t.Context(), tool, "check", "rules", queries, monitoringPath+"alerts.yml").CombinedOutput()
	require.NoError(t, err, "%s", out)
}
