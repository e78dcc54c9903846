// What both versions do with the functions that they import.
#pragma once

static size_t count(handle fields, text name) {
	texts v;
	fields_get(fields, name.at, name.length, &v);
	return v.length;
}

static text first(handle fields, text name) {
	texts v;
	fields_get(fields, name.at, name.length, &v);
	return v.length ? v.at[0] : (text){0};
}

static text request_path(handle request) {
	option o;
	path_of(request, &o);
	need(o.some);
	return o.text;
}
