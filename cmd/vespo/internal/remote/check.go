package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/patience"
	"github.com/vespo-dev/vespo/services/schema"
)

// quickBytes is the size up to which a module is sent without a question before.
const quickBytes = 1 << 20

// fieldCheck is the field of a request that asks about the others before the module is there.
const fieldCheck = "check"

// checkFirst asks the server whether it would refuse the service whatever its module is, before that is built, pulled or
// sent. It asks nothing if the module is small or is none.
func (c *AddCmd) checkFirst(ctx context.Context, client *Client) error {
	fields := c.given()
	if err := checkUse(fields); err != nil {
		return err
	}
	if c.Module == "" || isAddress(c.Module) || c.quick() {
		return nil
	}
	maps.DeleteFunc(fields, func(_ string, value any) bool {
		settings, ok := value.(schema.Settings)
		return ok && settings.Text != "" // it need not be a text that JSON can have
	})
	if usesFiles(fields) {
		delete(fields, schema.FieldUse)
	}
	fields[fieldCheck] = true
	body, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	_, err = client.Call(ctx, http.MethodPost, "/services/add", nil, Upload{
		Body:        bytes.NewReader(body),
		SizeBytes:   int64(len(body)),
		ContentType: "application/json",
	})
	var refused *Refusal
	var silent *patience.SilentError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%w; nothing was changed", context.Cause(ctx))
	case errors.As(err, &silent):
		return fmt.Errorf("%w; nothing was changed%s", silent, client.silentHint)
	case errors.As(err, &refused) && slices.Contains(refused.Fields, fieldCheck):
		return nil // an earlier version, which does not know the field
	}
	return err
}

// quick reports whether the module is a small file.
func (c *AddCmd) quick() bool {
	info, err := os.Stat(c.Module)
	return err == nil && info.Mode().IsRegular() && info.Size() <= quickBytes
}

// checkUse returns an error for each middleware that is no file.
func checkUse(fields map[string]any) error {
	use, _ := fields[schema.FieldUse].([]string)
	var errs []error
	for _, item := range use {
		if isAddress(item) || isReference(item) {
			continue
		}
		switch info, err := os.Stat(item); {
		case err != nil:
			errs = append(errs, fmt.Errorf("--%s: %w", schema.FieldUse, err))
		case info.IsDir():
			errs = append(errs, fmt.Errorf("--%s: %s is a directory: give a module", schema.FieldUse, item))
		}
	}
	return errors.Join(errs...)
}
