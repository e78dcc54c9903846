package filestore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/registry"
)

// recordV4 is a record in the catalogue. Its manifest is an object, as that of a version.
type recordV4 struct {
	Kind     string         `json:"kind"`
	Manifest map[string]any `json:"manifest"`
	Blobs    []string       `json:"blobs,omitempty"`
}

// fromRecords returns the records as they are stored.
func fromRecords(records map[string]registry.Record) (map[string]recordV4, error) {
	stored := make(map[string]recordV4, len(records))
	for name, r := range records {
		var members map[string]any
		if err := decodeStrictly([]byte(r.Manifest), &members); err != nil {
			return nil, fmt.Errorf("record %.200q: %w", name, err)
		}
		out := recordV4{Kind: r.Kind, Manifest: members}
		for _, d := range r.Blobs {
			out.Blobs = append(out.Blobs, string(d))
		}
		stored[name] = out
	}
	return stored, nil
}

// toRecords returns stored records.
func toRecords(stored map[string]recordV4) map[string]registry.Record {
	var records map[string]registry.Record
	for name, r := range stored {
		out := registry.Record{Kind: r.Kind, Manifest: canonical(r.Manifest)}
		for _, d := range r.Blobs {
			out.Blobs = append(out.Blobs, registry.Digest(d))
		}
		if records == nil {
			records = make(map[string]registry.Record, len(stored))
		}
		records[name] = out
	}
	return records
}

// Records of the Lambda API in directories with a manifest of version 1 are in a file of their own: an object with
// the manifests of all functions. It is read with that manifest, and never written.
const (
	lambdaDir          = "lambda"
	acmeDir            = "acme"
	lambdaRecordsV1    = lambdaDir + "/functions.json"
	lambdaKind         = "lambda"
	maxLambdaRecordsV1 = 64 << 20
)

// addRecordsV1 adds the records in lambdaRecordsV1 to a state of version 1.
func addRecordsV1(fsys durable.FS, s *registry.State) error {
	data, err := fsys.ReadFile(lambdaRecordsV1, maxLambdaRecordsV1)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var functions map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(data, &functions)
	}
	if err == nil {
		s.Records = make(map[string]registry.Record, len(functions))
		for name, object := range functions {
			var r registry.Record
			if r.Manifest, err = registry.Canonical(object); err != nil {
				break
			}
			r.Kind = lambdaKind
			s.Records[lambdaKind+"/"+name] = r
		}
	}
	if err == nil {
		err = s.Check()
	}
	if err != nil {
		return fmt.Errorf("%s: %w; restore it from a backup, or remove it with the aliases and settings of all functions", lambdaRecordsV1, err)
	}
	if len(s.Records) == 0 {
		s.Records = nil
	}
	return nil
}
