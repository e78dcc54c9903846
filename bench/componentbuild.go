package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// projectDir returns the project of a component. It is kept for the next run, for the sake of its npm packages.
func (b *bench) projectDir(g componentGuest) string {
	return filepath.Join(b.keep, "components", g.name)
}

// buildComponent makes a project of the template and builds it.
func (b *bench) buildComponent(ctx context.Context, g componentGuest) error {
	fresh, project := filepath.Join(b.dir, "projects", g.name), b.projectDir(g)
	if err := b.tool(ctx, b.dir, b.vespo, "new", fresh, "--template", g.template); err != nil {
		return err
	}
	if g.file != "" {
		if err := os.WriteFile(filepath.Join(fresh, filepath.FromSlash(g.file)), []byte(g.text), 0o644); err != nil {
			return err
		}
	}
	if err := clearProject(project); err != nil {
		return err
	}
	if err := os.CopyFS(project, os.DirFS(fresh)); err != nil {
		return err
	}
	if err := b.tool(ctx, project, b.vespo, "build"); err != nil {
		return err
	}
	b.modules[g.name] = filepath.Join(project, g.name+".wasm")
	return nil
}

// clearProject removes all files of a project but its npm packages.
func clearProject(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := fs.ReadDir(os.DirFS(dir), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == "node_modules" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// componentFiles returns a directory with the components alone.
func (b *bench) componentFiles(built []componentGuest) (string, error) {
	dir := filepath.Join(b.dir, "built")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for _, g := range built {
		if err := os.Symlink(b.modules[g.name], filepath.Join(dir, g.name+".wasm")); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// npmTool returns the program of a version of an npm package, which is installed if it is missing.
func (b *bench) npmTool(ctx context.Context, program, version string) (string, error) {
	pkg := program + "@" + version
	dir := filepath.Join(b.keep, "npm", pkg)
	file := filepath.Join(dir, "node_modules", ".bin", program)
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"private": true}`+"\n"), 0o644); err != nil {
		return "", err
	}
	if err := b.tool(ctx, dir, "npm", "install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error", pkg); err != nil {
		return "", err
	}
	_, err := os.Stat(file)
	return file, err
}

// tool runs a program in a directory, with the tools of the distribution first: they have targets for WebAssembly
// that others may lack.
func (b *bench) tool(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.WaitDelay = dir, pipeDelay
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // npm and cargo have children
	cmd.Env = append(os.Environ(), "PATH=/usr/bin"+string(os.PathListSeparator)+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	return nil
}
