package boltfile

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// ErrNewer is matched by the error of a file whose format is newer than this program knows.
var ErrNewer = errors.New("the file has a newer format than this version of vespo reads: use the newer one")

// formatName is the bucket whose sequence is the version of a file's format. A file without it has version 1.
const formatName = "\x00format"

// CheckFormat returns an error if the format of a file has a version above known. Nothing was changed then.
func CheckFormat(tx *bbolt.Tx, known uint64) error {
	b := tx.Bucket([]byte(formatName))
	if b == nil || b.Sequence() <= known {
		return nil
	}
	return fmt.Errorf("%w (format version %d, known is %d)", ErrNewer, b.Sequence(), known)
}

// SetFormat sets the version of a file's format.
func SetFormat(tx *bbolt.Tx, version uint64) error {
	b, err := tx.CreateBucketIfNotExists([]byte(formatName))
	if err != nil {
		return err
	}
	return b.SetSequence(version)
}
