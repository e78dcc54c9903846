// Command gofiles is a CGI command that serves its file system: the content of a file, or the entries of
// a directory, one a line. With the query "write" it tries to modify the file at PATH_INFO instead, with
// "twice" it reads a file with two descriptors at once, and with "many" it opens a file until that fails.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

func main() {
	path := os.Getenv("PATH_INFO")
	var out string
	var err error
	switch os.Getenv("QUERY_STRING") {
	case "write":
		err = errors.Join(os.WriteFile(path, []byte("changed"), 0o644), os.Remove(path), os.Mkdir(path+".d", 0o755), os.Rename(path, path+".b"))
	case "twice":
		out, err = twice(path)
	case "many":
		out, err = many(path)
	default:
		out, err = show(path)
	}
	if err != nil {
		fmt.Printf("Status: 404\n\n%v\n", err)
		return
	}
	fmt.Printf("Content-Type: text/plain\n\n%s", out)
}

func show(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		b, err := os.ReadFile(path)
		return string(b), err
	}
	entries, err := os.ReadDir(path)
	var lines []string
	for _, e := range entries {
		lines = append(lines, fmt.Sprintf("%s %v", e.Name(), e.IsDir()))
	}
	return strings.Join(lines, "\n"), err
}

func twice(path string) (string, error) {
	a, err := os.Open(path)
	if err != nil {
		return "", err
	}
	b, err := os.Open(path)
	if err != nil {
		return "", err
	}
	if _, err := a.Seek(-3, io.SeekEnd); err != nil {
		return "", err
	}
	tail, err := io.ReadAll(a)
	if err != nil {
		return "", err
	}
	head := make([]byte, 3)
	_, err = io.ReadFull(b, head)
	at := make([]byte, 2)
	_, atErr := b.ReadAt(at, 1)
	return string(head) + "|" + string(tail) + "|" + string(at), errors.Join(err, atErr) // left open: the host closes them
}

func many(path string) (string, error) {
	var open []fs.File
	for {
		f, err := os.Open(path)
		if err != nil {
			return fmt.Sprintf("%d open, then: %v", len(open), err), nil
		}
		open = append(open, f)
	}
}
