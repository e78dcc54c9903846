package follow

import (
	"encoding/json"
	"fmt"

	"github.com/vespo-dev/vespo/internal/durable"
)

// The file that says which primary a data directory is a copy of.
const (
	originName    = "follow.json"
	originFormat  = "vespo follower"
	originVersion = 1
	maxOrigin     = 64 << 10
)

// Origin keeps the primary that a data directory is a copy of. Its methods must not be called concurrently.
type Origin struct {
	file    *durable.Document
	primary string
}

// origin is the file.
type origin struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Primary string `json:"primary"` // "": the directory is no copy
}

// OpenOrigin opens the file in a directory of its own. A damaged file is set aside, and damage says why.
func OpenOrigin(fsys durable.FS) (o *Origin, damage, err error) {
	o = &Origin{}
	o.file, damage, err = durable.OpenDocument(fsys, originName, maxOrigin, func(data []byte) error {
		var stored origin
		if err := json.Unmarshal(data, &stored); err != nil {
			return err
		}
		switch {
		case stored.Format != originFormat || stored.Version < 1:
			return fmt.Errorf("%s is %.40q, version %d: it is not the file of a follower", originName, stored.Format, stored.Version)
		case stored.Version > originVersion:
			return fmt.Errorf("%s has version %d of its format, and this program reads up to %d: %w", originName, stored.Version, originVersion, durable.ErrNewer)
		}
		o.primary = stored.Primary
		return nil
	})
	return o, damage, err
}

// Primary returns the URL of the primary, or "" if the directory is no copy.
func (o *Origin) Primary() string { return o.primary }

// Set stores another primary. "" makes the directory one that is no copy.
func (o *Origin) Set(primary string) error {
	if primary == o.primary {
		return nil
	}
	data, err := json.Marshal(origin{Format: originFormat, Version: originVersion, Primary: primary})
	if err == nil {
		err = o.file.Write(data)
	}
	if err != nil {
		return fmt.Errorf("store the primary: %w", err)
	}
	o.primary = primary
	return nil
}
