package project

import (
	"context"
	"path/filepath"
)

const getNode = "install Node.js 20 or later with npm from https://nodejs.org (Debian 13 and later: apt-get install nodejs npm)"

// assemblyScript compiles with the project's npm script "build", which must accept --outFile, as asc does.
type assemblyScript struct{}

func (assemblyScript) check(context.Context) error {
	if err := onPath("node", getNode); err != nil {
		return err
	}
	return onPath("npm", getNode)
}

func (assemblyScript) build(ctx context.Context, b *build) error {
	if !isFile(filepath.Join(b.dir, "node_modules", "assemblyscript", "package.json")) {
		if err := b.run(ctx, npmInstall(), nil); err != nil {
			return err
		}
	}
	args := []string{"npm", "run", "--silent", "build", "--", "--outFile", b.outArg()}
	return b.run(ctx, command{args: append(args, b.flags...)}, nil)
}
