package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/vespo-dev/vespo/services/control/configfile"
)

// foundName is the name of the configuration file that is read where no other is named.
const foundName = "vespo.toml"

// secretSettings are the settings whose values are never shown. Their values can be in files.
var secretSettings = []string{"admin-token", "worker-token", "lambda-key", "follow-token"}

// source is a configuration file, or none.
type source struct {
	configfile.Source
	found bool    // the user did not name the file; it is in the current directory
	open  Openers // of the program
}

// named returns the source of a file that the user has named.
func named(path string) source {
	return source{Source: configfile.Source{Path: path, Lookup: os.LookupEnv, Secrets: secretSettings}}
}

// find returns the file of the current directory, or a source without a path.
func find() (source, error) {
	info, err := os.Lstat(foundName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return source{}, nil
	case err != nil:
		return source{}, err
	}
	s := named(foundName)
	s.found, s.Check = true, trusted
	if err := trusted(info); err != nil { // of a symbolic link, the one who made it chose the file
		return source{}, configfile.Violations{{File: foundName, Text: err.Error()}}
	}
	return s, nil
}

// trusted returns why a file that was found is not read: it may be a trap that another user has set.
func trusted(info fs.FileInfo) error {
	const advice = "name it to use it (--config-file), or leave it out (--no-config-file)"
	switch other, known := foreign(info); {
	case other:
		return fmt.Errorf("is in the current directory, but belongs to another user: %s", advice)
	case known && info.Mode()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o002 != 0:
		return fmt.Errorf("is in the current directory, but every user can write to it: %s", advice)
	}
	return nil
}

// explain adds to an error of the file why it is read, if the user did not name it.
func (s source) explain(err error) error {
	if err == nil || !s.found {
		return err
	}
	return fmt.Errorf("%w\nthe file is read because it is in the current directory: --no-config-file leaves it out", err)
}

// String describes the file for the first line of the server.
func (s source) String() string {
	if s.found {
		return fmt.Sprintf("configuration %s (in the current directory; --no-config-file leaves it out)", s.Path)
	}
	return "configuration " + s.Path
}
