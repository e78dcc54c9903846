package remote

import "strings"

// byPackage groups names of interfaces, such as wasi:io/poll@0.2.0, by package and version, in the order of the packages'
// first interfaces: "wasi:io@0.2.0: poll, streams". A name that is alone in its package, or in another form, stays.
func byPackage(interfaces []string) (grouped []string) {
	groups := map[string][]string{}
	var order []string
	for _, full := range interfaces {
		pkg, name := full, ""
		if before, rest, ok := strings.Cut(full, "/"); ok && before != "" {
			local, version, versioned := strings.Cut(rest, "@")
			if pkg, name = before, local; versioned {
				pkg += "@" + version
			}
		}
		if groups[pkg] == nil {
			order = append(order, pkg)
		}
		groups[pkg] = append(groups[pkg], name)
	}
	for _, pkg := range order {
		names := groups[pkg]
		before, version, versioned := strings.Cut(pkg, "@")
		switch {
		case len(names) > 1:
			grouped = append(grouped, pkg+": "+strings.Join(names, ", "))
		case names[0] == "":
			grouped = append(grouped, pkg)
		case versioned:
			grouped = append(grouped, before+"/"+names[0]+"@"+version)
		default:
			grouped = append(grouped, before+"/"+names[0])
		}
	}
	return grouped
}
