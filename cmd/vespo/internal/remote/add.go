package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/flags"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/services/schema"
)

// AddCmd adds or replaces a service. Create it with NewAddCmd.
type AddCmd struct {
	Prefix string `arg:"" optional:"" help:"Path prefix to serve it under, such as hello or a/b; / takes all that no other service has (for a project: that of its vespo.json, or its name)."`
	Module string `arg:"" optional:"" name:"file|url|dir" help:"The module: a file, - for standard input, an http or https address that the server fetches, a reference to a registry such as oci://registry.example.com/hello:1.2, or the directory of a project, which is built (the current one)."`
	Match  string `placeholder:"HEADER:VALUE" help:"Serve only requests with this header whose value begins so, as in 'Host: api.example.com'."`

	Reset bool     `help:"Give options that are not given their defaults, instead of keeping those of the current version."`
	Unset []string `placeholder:"OPTION" help:"Give these options of the current version their defaults, such as use or config; several, separated by commas or by repeating the flag. An empty value, as in --use \"\", does the same."`

	Message string  `short:"m" placeholder:"TEXT" help:"What has changed, in one line. \"vespo inspect\" shows it beside the version."`
	Author  *string `env:"VESPO_AUTHOR" placeholder:"NAME" help:"Who deploys it, for \"vespo inspect\" (your user name on this machine)."`

	Rollout rolloutFlags `embed:"" group:"Give the new version its requests:"`

	kong.Plugins // the fields of all kinds
	clientFlags

	kinds  schema.Kinds  `kong:"-"`
	fields *flags.Fields `kong:"-"`
	open   OpenProject   `kong:"-"`
	dir    string        `kong:"-"` // of the project to build; "" if the module is not built
	pulled []byte        `kong:"-"` // the module if it is in a registry

	service map[string]any `kong:"-"` // fields that the settings of the project have
}

// NewAddCmd returns the command for a server with these kinds.
func NewAddCmd(kinds schema.Kinds, open OpenProject) AddCmd {
	var offered []schema.Field
	for _, f := range kinds.Fields() {
		if f.Name != schema.FieldModule {
			offered = append(offered, f)
		}
	}
	fields := flags.NewFields(offered, func(f schema.Field) string { return groupOf(kinds, f) })
	return AddCmd{Plugins: kong.Plugins{fields.Plugin()}, kinds: kinds, fields: fields, open: open}
}

// groupOf returns the title under which the help lists the flag of a field. Fields of several kinds have none.
func groupOf(kinds schema.Kinds, f schema.Field) string {
	owners := kinds.Owners(f.Name)
	if len(owners) != 1 {
		return ""
	}
	for kind, form := range kinds.Forms() {
		switch {
		case form.Requires[0] != owners[0]:
		case owners[0] == schema.FieldModule:
			return "For " + kind.Title + ":"
		default:
			return "For " + kind.Title + ", by --" + schema.FlagOf(owners[0]) + ":"
		}
	}
	return ""
}

// Validate is called by kong. It checks only what the server would not see, or only after an upload.
func (c *AddCmd) Validate() error {
	given := c.fields.Given()
	selecting := c.selecting(given)
	if err := c.chooseProject(selecting); err != nil {
		return err
	}
	switch {
	case c.Prefix == "" && c.dir == "":
		return errors.New("give the prefix of the service as the first argument, such as hello")
	case isAddress(c.Module) && usesFiles(given):
		return errors.New("the server fetches the module: give addresses to --use as well, or a file for the module")
	case c.Module != "" && !c.one(selecting):
		return fmt.Errorf("a prefix is bound to one thing: give a module, or %s", c.selectors())
	}
	return errors.Join(c.fields.Check(), c.checkModule(given, selecting), c.Rollout.validate(), c.clientFlags.Validate())
}

// checkModule returns an error for each flag that a module does not have. The server would see it only after the upload.
func (c *AddCmd) checkModule(given map[string]any, selecting []string) error {
	if c.Module == "" {
		return nil
	}
	var errs []error
	form := c.form(selecting)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, own := form.Field(name); !own {
			errs = append(errs, fmt.Errorf("%s is a flag of --%s, which is not given", c.nameOf(name), schema.FlagOf(c.kinds.Owners(name)[0])))
		}
	}
	return errors.Join(errs...)
}

// selecting returns the given fields that select a kind.
func (c *AddCmd) selecting(given map[string]any) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if c.kinds.Selects(name) {
			names = append(names, name)
		}
	}
	return names
}

// one reports whether the selecting fields, and the module if there is one, are those of one form.
func (c *AddCmd) one(selecting []string) bool { return len(c.form(selecting).Requires) > 0 }

// form returns the form of the selecting fields, and of the module if there is one, or the zero Form.
func (c *AddCmd) form(selecting []string) schema.Form {
	if c.Module != "" {
		selecting = append(slices.Clone(selecting), schema.FieldModule)
	}
	_, form, _ := c.kinds.Select(selecting)
	return form
}

// selectors lists the flags that select a kind.
func (c *AddCmd) selectors() string {
	var names []string
	for _, f := range c.kinds.Fields() {
		if c.kinds.Selects(f.Name) && f.Name != schema.FieldModule {
			names = append(names, "--"+f.Flag())
		}
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// Run is called by kong.
func (c *AddCmd) Run(ctx context.Context, s stdio.Streams, command *kong.Context) error {
	c.Unset = append(c.Unset, c.emptied(command)...)
	client, err := c.client(boundTo(c.Prefix, c.Match))
	if err != nil {
		return err
	}
	client.named = c.nameOf
	if c.dir != "" {
		interrupted, release := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer release()
		ctx = interrupted
		project, err := c.openProject()
		if err != nil {
			return err
		}
		client.about = boundTo(c.Prefix, c.Match)
		if err := c.checkFirst(ctx, client); err != nil {
			return err
		}
		remove, err := c.build(ctx, s, project)
		if err != nil {
			return err
		}
		defer remove()
	} else if err := c.checkFirst(ctx, client); err != nil {
		return err
	}
	if isReference(c.Module) {
		if err := c.pull(ctx, s); err != nil {
			return err
		}
	}
	given := c.given()
	var a *Answer
	switch {
	case usesFiles(given) || c.Module != "" && !isAddress(c.Module):
		a, err = c.addFile(ctx, client, s, given)
	case c.Module != "":
		given["source"] = c.Module
		a, err = c.addJSON(ctx, client, s, given, work{"fetching and compiling", "fetched and compiled"})
		err = c.withUpstream(err)
	default:
		a, err = c.addJSON(ctx, client, s, given, work{doing: "adding"})
	}
	if ctx.Err() != nil && err != nil {
		return fmt.Errorf("%w; the server may have deployed %s all the same: \"vespo inspect\" shows it", context.Cause(ctx), client.about)
	}
	if err != nil {
		return err
	}
	what := "replaced"
	if a.Status == http.StatusCreated {
		what = "added"
	}
	if c.Rollout.DryRun {
		what = "would deploy"
		if n := len(c.Rollout.Smoke); n > 0 {
			fmt.Fprintf(s.Err, "smoke requests sent and answered: %d, with their effects; nothing else has changed\n", n)
		}
	}
	return c.writeDeployed(s, client, a, what)
}

// withUpstream returns err with a hint if the server refused an address that is perhaps that of an upstream.
func (c *AddCmd) withUpstream(err error) error {
	var refused *Refusal
	if !errors.As(err, &refused) || strings.HasSuffix(c.Module, ".wasm") {
		return err
	}
	if !strings.HasPrefix(refused.Detail, "source ") && !slices.Equal(refused.Fields, []string{schema.FieldModule}) {
		return err
	}
	return fmt.Errorf("%w\nto pass requests on to that address, give it with --upstream", err)
}

// emptied returns the names of the options that the command line sets to an empty value.
func (c *AddCmd) emptied(command *kong.Context) (names []string) {
	for _, p := range command.Path {
		if p.Flag == nil {
			continue
		}
		f, own := c.fields.Field(p.Flag.Name)
		if !own || c.kinds.Selects(f.Name) {
			continue
		}
		value := p.Flag.Target
		if value.IsZero() || value.Kind() == reflect.Slice && value.Len() == 0 {
			names = append(names, f.Name)
		}
	}
	return names
}

// nameOf returns the name of a field for the user: its flag, or that of the argument.
func (c *AddCmd) nameOf(field string) string {
	if file, ok := c.fields.FileFlag(field); ok {
		return "--" + file
	}
	switch f, ok := c.fields.Field(schema.FlagOf(field)); {
	case ok:
		return "--" + f.Flag()
	case c.Rollout.nameOf(field) != "":
		return c.Rollout.nameOf(field)
	case slices.Contains([]string{"match", "unset", "reset", "message", "author"}, field):
		return "--" + field
	}
	return field
}

// given returns the fields of the request but for the module. The server validates the values.
func (c *AddCmd) given() map[string]any {
	fields := maps.Clone(c.fields.Given())
	for name, value := range c.service {
		if _, given := fields[name]; !given && !slices.Contains(c.unsetNames(), name) {
			fields[name] = value
		}
	}
	fields["prefix"] = c.Prefix
	if c.Match != "" {
		fields["match"] = c.Match
	}
	if c.Reset {
		fields["reset"] = true
	}
	for name, text := range map[string]string{"message": c.Message, "author": c.author()} {
		if text != "" {
			fields[name] = text
		}
	}
	c.Rollout.addTo(fields)
	if len(c.Unset) > 0 {
		fields["unset"] = c.unsetNames()
	}
	return fields
}

// unsetNames returns the names of the fields of --unset.
func (c *AddCmd) unsetNames() []string {
	names := make([]string, 0, len(c.Unset))
	for _, name := range c.Unset {
		names = append(names, strings.ReplaceAll(strings.TrimPrefix(name, "--"), "-", "_"))
	}
	return names
}

// addJSON sends a request without a module: the server
// fetches the module, or fields describe the whole service.
func (c *AddCmd) addJSON(ctx context.Context, client *Client, s stdio.Streams, fields map[string]any, work work) (*Answer, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // would make texts up to six times as long, and the server refuses a long body
	if err := encoder.Encode(fields); err != nil {
		return nil, err
	}
	progress := c.progress(s, 0, work)
	a, err := client.Call(ctx, http.MethodPost, "/services/add", nil, Upload{
		Body:        &body,
		SizeBytes:   int64(body.Len()),
		ContentType: "application/json",
	})
	c.report(s, progress, err)
	return a, err
}

// addFile uploads the module, if there is one, and the middleware in a form. A form is used rather than a
// query because queries end up in logs, and settings may be secrets.
func (c *AddCmd) addFile(ctx context.Context, client *Client, s stdio.Streams, fields map[string]any) (_ *Answer, err error) {
	module, sizeBytes := io.NopCloser(strings.NewReader("")), int64(0)
	if c.Module != "" {
		if module, sizeBytes, err = c.openModule(s); err != nil {
			return nil, err
		}
	}
	defer module.Close()
	head, tail, contentType, err := c.parts(fields)
	if err != nil {
		return nil, err
	}
	progress := c.progress(s, sizeBytes, work{"compiling", "compiled"})
	a, err := client.Call(ctx, http.MethodPost, "/services/add", nil, Upload{
		Body:        io.MultiReader(bytes.NewReader(head), progress.reader(module), bytes.NewReader(tail)),
		SizeBytes:   int64(len(head)) + sizeBytes + int64(len(tail)),
		ContentType: contentType,
	})
	c.report(s, progress, err)
	return a, err
}

// parts returns the parts of the form's body before and after the module, and its content type.
func (c *AddCmd) parts(fields map[string]any) (head, tail []byte, contentType string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	err = writeFields(w, fields)
	if c.Module != "" {
		_, fileErr := w.CreateFormFile(schema.FieldModule, "module.wasm")
		err = errors.Join(err, fileErr)
	}
	head = bytes.Clone(b.Bytes())
	b.Reset()
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, nil, "", err
	}
	return head, b.Bytes(), w.FormDataContentType(), nil
}

// progress starts to measure a deploy. It is shown if standard error is a terminal.
func (c *AddCmd) progress(s stdio.Streams, totalBytes int64, work work) *progress {
	if !s.Interactive() {
		return startProgress(nil, totalBytes, work)
	}
	return startProgress(s.Err, totalBytes, work)
}

// report ends a progress. It prints the times of a deploy that succeeded to a terminal, and below the output of a build.
func (c *AddCmd) report(s stdio.Streams, p *progress, err error) {
	times := p.close()
	if err == nil && times != "" && (s.Interactive() || c.dir != "") {
		fmt.Fprintln(s.Err, times)
	}
}
