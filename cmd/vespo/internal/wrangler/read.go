package wrangler

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/vespo-dev/vespo/internal/cron"
	"github.com/vespo-dev/vespo/services/kv"
)

// Problem is a member that is not taken over as it is.
type Problem struct {
	Member   string // its path, such as kv_namespaces[0]
	Text     string
	Harmless bool // the worker does not depend on it
}

func (p Problem) String() string { return p.Member + ": " + p.Text }

// Project is the content of vespo.json.
type Project struct {
	Prefix    string  `json:"prefix,omitempty"`
	Toolchain string  `json:"toolchain"`
	Service   Service `json:"service"`
	Worker    Worker  `json:"worker"`
}

// Service has fields of the service.
type Service struct {
	Config map[string]string `json:"config,omitempty"`
	Cron   []string          `json:"cron,omitempty"`
}

// Worker has the script and its bindings.
type Worker struct {
	Main     string            `json:"main,omitempty"`
	Vars     map[string]any    `json:"vars,omitempty"`
	KV       map[string]string `json:"kv,omitempty"`
	Services map[string]string `json:"services,omitempty"`
	Assets   *Assets           `json:"assets,omitempty"`
}

// Assets are static assets.
type Assets struct {
	Directory   string `json:"directory"`
	Binding     string `json:"binding,omitempty"`
	NotFound    string `json:"not_found_handling,omitempty"`
	WorkerFirst bool   `json:"run_worker_first,omitempty"`
}

// Read converts a configuration. name is its file name, whose suffix is that of the format.
func Read(name string, text []byte) (*Project, []Problem, error) {
	var config map[string]any
	var err error
	if strings.EqualFold(filepath.Ext(name), ".toml") {
		err = placed(toml.Unmarshal(text, &config))
	} else {
		config, err = parseJSONC(text)
	}
	if err != nil {
		return nil, nil, err
	}
	r := &reader{project: &Project{Toolchain: "worker"}}
	members := members()
	for _, name := range slices.Sorted(maps.Keys(config)) {
		if read, ok := members[name]; ok {
			read(r, name, config[name])
		} else {
			r.lose(name, "left out: it is not supported")
		}
	}
	r.wholePaths()
	return r.project, r.problems, nil
}

// placed adds the line and the column to an error of the TOML parser.
func placed(err error) error {
	var at *toml.DecodeError
	if errors.As(err, &at) {
		line, column := at.Position()
		return fmt.Errorf("line %d, column %d: %w", line, column, err)
	}
	return err
}

type reader struct {
	project  *Project
	problems []Problem
	stores   map[string]string // by the ids of their namespaces
}

func (r *reader) lose(member, format string, args ...any) {
	r.problems = append(r.problems, Problem{Member: member, Text: fmt.Sprintf(format, args...)})
}

func (r *reader) note(member, format string, args ...any) {
	r.problems = append(r.problems, Problem{Member: member, Text: fmt.Sprintf(format, args...), Harmless: true})
}

// members returns how each known member is read.
func members() map[string]func(r *reader, name string, value any) {
	ignored := func(*reader, string, any) {}
	all := map[string]func(*reader, string, any){
		"name":               (*reader).name,
		"main":               (*reader).main,
		"vars":               (*reader).vars,
		"kv_namespaces":      (*reader).namespaces,
		"services":           (*reader).services,
		"triggers":           (*reader).triggers,
		"assets":             (*reader).assets,
		"site":               (*reader).site,
		"route":              (*reader).routes,
		"routes":             (*reader).routes,
		"compatibility_date": func(r *reader, name string, _ any) { r.note(name, "left out: there is one behaviour") },
		"compatibility_flags": func(r *reader, name string, value any) {
			for _, flag := range list(value) {
				r.lose(name, "%v is left out: workers have neither Node.js modules nor other behaviours", flag)
			}
		},
		"env": func(r *reader, name string, value any) {
			environments, _ := value.(map[string]any)
			r.lose(name, "left out: make a project for each of the environments %s", strings.Join(slices.Sorted(maps.Keys(environments)), ", "))
		},
	}
	for _, name := range []string{"$schema", "account_id", "workers_dev", "preview_urls", "dev", "observability", "logpush", "minify",
		"upload_source_maps", "send_metrics", "keep_vars", "no_bundle", "placement", "keep_names"} {
		all[name] = ignored
	}
	return all
}

func (r *reader) name(member string, value any) {
	if name, ok := r.text(member, value); ok && r.project.Prefix == "" {
		r.project.Prefix = name
	}
}

// wholePaths notes that the script and the assets see the prefix of the service, which they do not in Cloudflare.
func (r *reader) wholePaths() {
	prefix := "/" + strings.Trim(r.project.Prefix, "/")
	if prefix != "/" && !slices.ContainsFunc(r.problems, func(p Problem) bool { return p.Member == "route" || p.Member == "routes" }) {
		r.note("name", "the prefix is %s, which is a part of all paths that the script and the assets see: "+
			"write \"prefix\": \"/\" if it uses paths such as /about", prefix)
	}
}

func (r *reader) main(member string, value any) {
	file, ok := r.text(member, value)
	if !ok {
		return
	}
	if file = path.Clean(file); !filepath.IsLocal(file) {
		r.lose(member, "%q is not below the directory of the file", file)
		return
	}
	r.project.Worker.Main = file
}

// vars makes settings of texts, which can be changed without a build.
func (r *reader) vars(member string, value any) {
	for name, v := range r.object(member, value) {
		if text, ok := v.(string); ok {
			put(&r.project.Service.Config, name, text)
		} else if _, err := json.Marshal(v); err != nil {
			r.lose(member+"."+name, "left out: it cannot be written as JSON")
		} else if deep(v, maxDepth) {
			r.lose(member+"."+name, "left out: it is nested more than %d levels deep", maxDepth)
		} else {
			put(&r.project.Worker.Vars, name, v)
		}
	}
}

// maxDepth is the nesting of a variable. The output is indented: its size is that of the input times the depth.
const maxDepth = 100

// deep reports whether a value is nested more than some levels.
func deep(v any, levels int) bool {
	inside := func(v any) bool { return levels == 0 || deep(v, levels-1) }
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, inside)
	case map[string]any:
		return slices.ContainsFunc(slices.Collect(maps.Values(v)), inside)
	}
	return false
}

var notInStores = regexp.MustCompile(`[^a-z0-9_-]+`)

func (r *reader) namespaces(member string, value any) {
	for i, one := range list(value) {
		at := fmt.Sprintf("%s[%d]", member, i)
		object := r.object(at, one)
		binding, ok := r.text(at+".binding", object["binding"])
		if !ok {
			continue
		}
		id, _ := object["id"].(string)
		store := r.storeOf(binding, cmp.Or(id, at))
		put(&r.project.Worker.KV, binding, store)
		r.note(at, "%s is the store %q of the server: \"vespo kv import\" fills it", binding, store)
	}
}

// storeOf returns the name of the store for a namespace: that of its first binding, with a number if another namespace has it.
func (r *reader) storeOf(binding, namespace string) string {
	base := strings.Trim(notInStores.ReplaceAllString(strings.ToLower(binding), "-"), "-_")
	base = cmp.Or(base[:min(len(base), maxStoreBytes)], "store")
	if store := r.stores[namespace]; store != "" {
		return store
	}
	store := base
	for n := 2; slices.Contains(slices.Collect(maps.Values(r.stores)), store); n++ {
		store = fmt.Sprintf("%s-%d", base, n)
	}
	put(&r.stores, namespace, store)
	return store
}

// maxStoreBytes is the length of a store's name, with room for a number.
const maxStoreBytes = kv.MaxNameBytes - 4

func (r *reader) services(member string, value any) {
	for i, one := range list(value) {
		at := fmt.Sprintf("%s[%d]", member, i)
		object := r.object(at, one)
		binding, ok := r.text(at+".binding", object["binding"])
		service, named := r.text(at+".service", object["service"])
		if !ok || !named {
			continue
		}
		for _, other := range []string{"entrypoint", "environment", "props"} {
			if object[other] != nil {
				r.lose(at+"."+other, "left out: a binding calls fetch of the service")
			}
		}
		put(&r.project.Worker.Services, binding, service)
	}
}

func (r *reader) triggers(member string, value any) {
	for name, v := range r.object(member, value) {
		if name != "crons" {
			r.lose(member+"."+name, "left out: it is not supported")
			continue
		}
		for i, text := range list(v) {
			r.cron(fmt.Sprintf("%s.crons[%d]", member, i), text)
		}
	}
}

// cron takes an expression over. The numbers of weekdays differ, so they become names.
func (r *reader) cron(member string, value any) {
	given, ok := r.text(member, value)
	if !ok {
		return
	}
	text, err := cron.FromCloudflare(given)
	if err != nil {
		r.lose(member, "%q is left out: %s", given, err)
		return
	}
	if text != strings.Join(strings.Fields(given), " ") {
		r.lose(member, "%q is %q here, which the handler gets as well", given, text)
	}
	r.project.Service.Cron = append(r.project.Service.Cron, text)
}

func (r *reader) site(member string, value any) {
	if bucket, ok := r.object(member, value)["bucket"]; ok {
		r.assets(member, map[string]any{"directory": bucket})
	}
}

func (r *reader) assets(member string, value any) {
	assets := &Assets{}
	object := r.object(member, value)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		at, v := member+"."+name, object[name]
		switch name {
		case "directory":
			if directory, ok := r.text(at, v); ok { // "" would become ".", all files of the project
				assets.Directory = path.Clean(directory)
			}
		case "binding":
			assets.Binding, _ = r.text(at, v)
		case "not_found_handling":
			assets.NotFound, _ = r.text(at, v)
		case "html_handling":
			if v != "auto-trailing-slash" {
				r.lose(at, "left out: pages have no suffix, and indexes end with a slash")
			}
		case "run_worker_first":
			first, ok := v.(bool)
			if assets.WorkerFirst = first || !ok; !ok {
				r.lose(at, "the script runs first for all paths, and not only for some")
			}
		default:
			r.lose(at, "left out: it is not supported")
		}
	}
	if !filepath.IsLocal(assets.Directory) {
		r.lose(member+".directory", "%q is not below the directory of the file", assets.Directory)
		return
	}
	r.project.Worker.Assets = assets
}

// routes takes the path of a route as the prefix if there is only one.
func (r *reader) routes(member string, value any) {
	all := list(value)
	for i, one := range all {
		pattern, ok := one.(string)
		if object, isObject := one.(map[string]any); isObject {
			pattern, ok = object["pattern"].(string)
		}
		if !ok {
			r.lose(fmt.Sprintf("%s[%d]", member, i), "left out: it has no pattern")
			continue
		}
		host, rest, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(pattern, "https://"), "http://"), "/")
		prefix := "/" + strings.Trim(strings.TrimSuffix(rest, "*"), "/")
		if len(all) == 1 && !strings.Contains(prefix, "*") {
			r.project.Prefix = prefix
			r.lose(member, "the prefix is %s, for all hosts: for one, deploy with --match 'Host: %s'", prefix, strings.TrimPrefix(host, "*."))
		} else {
			r.lose(fmt.Sprintf("%s[%d]", member, i), "left out: deploy once for each route, with vespo deploy %s --match 'Host: %s'", prefix, strings.TrimPrefix(host, "*."))
		}
	}
}

// text returns a text that is not empty. All else is a problem.
func (r *reader) text(member string, value any) (string, bool) {
	text, ok := value.(string)
	if ok = ok && text != ""; !ok {
		r.lose(member, "left out: it must be a text")
	}
	return text, ok
}

// object returns the members of an object. All else is a problem.
func (r *reader) object(member string, value any) map[string]any {
	object, ok := value.(map[string]any)
	if !ok {
		r.lose(member, "left out: it must be an object")
	}
	return object
}

// list returns the items of an array; another value is one item.
func list(value any) []any {
	if items, ok := value.([]any); ok {
		return items
	}
	return []any{value}
}

// put sets a key of a map that may be nil.
func put[V any](m *map[string]V, key string, value V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = value
}
