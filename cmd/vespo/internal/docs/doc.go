// Package docs contains tests that run the documentation. It has no code of its own.
//
// Every fenced block of every Markdown file of the repository is run, compared, checked or compiled, or
// a mark in front of it gives the reason why not. CONTRIBUTING.md describes the marks.
//
// A page is run in the order of its blocks, by one bash, with the vespo of this tree on its PATH. README.md
// and the examples run in a copy of the repository, other pages in an empty directory. On Linux each page has
// a network of its own, so that pages can use the ports that they show, several of them at a time. Where the
// system does not allow that, pages run one at a time on the ports of the machine.
package docs
