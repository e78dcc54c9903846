package filestore

import (
	"fmt"

	"github.com/vespo-dev/vespo/registry"
)

// EntryVersion is the version of the form of EncodeService and EncodeRecord: that of the manifest.
const EntryVersion = manifestVersion

// EncodeService returns a service as JSON, in the form that it has in the manifest. Stores with one entry for each
// service use it, so that the catalogue has one stored form.
func EncodeService(s registry.Service) ([]byte, error) {
	stored, err := fromService(s)
	if err != nil {
		return nil, err
	}
	return encodeEntry(stored)
}

// DecodeService returns the service of EncodeService. The caller checks the state that it becomes a part of.
func DecodeService(data []byte) (registry.Service, error) {
	var stored serviceV4
	if err := decodeStrictly(data, &stored); err != nil {
		return registry.Service{}, err
	}
	return stored.service(), nil
}

// EncodeRecord returns a record as JSON, in the form that it has in the manifest.
func EncodeRecord(r registry.Record) ([]byte, error) {
	stored, err := fromRecords(map[string]registry.Record{"": r})
	if err != nil {
		return nil, err
	}
	return encodeEntry(stored[""])
}

// DecodeRecord returns the record of EncodeRecord.
func DecodeRecord(data []byte) (registry.Record, error) {
	var stored recordV4
	if err := decodeStrictly(data, &stored); err != nil {
		return registry.Record{}, err
	}
	return toRecords(map[string]recordV4{"": stored})[""], nil
}

// encodeEntry leaves <, > and & as they are: escaped, they would take six times their size.
func encodeEntry(stored any) ([]byte, error) {
	text, err := registry.EncodeManifest(stored)
	if err != nil {
		return nil, fmt.Errorf("encode entry: %w", err)
	}
	return []byte(text), nil
}
