// Package law holds, as tests, the rules that this source tree keeps: who may import whom and why, and the habits that a
// reader can rely on everywhere. It has no code of its own. CONTRIBUTING.md tells the rules in prose.
package law
