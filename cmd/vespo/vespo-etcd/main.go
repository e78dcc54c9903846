// Command vespo-etcd is vespo with the store in etcd, for several hosts with one catalogue.
package main

import (
	"os"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/program"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-etcd/etcdstore"
)

func main() { os.Exit(program.Main(etcdstore.OpenURL)) }
