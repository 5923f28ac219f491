/*
 * import.c: IMPORT FOREIGN SCHEMA.  Python writes CREATE FOREIGN TABLE commands, PostgreSQL checks them.
 */
#include "host.h"

#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "nodes/parsenodes.h"

/* LIMIT TO and EXCEPT as (word, tables); PostgreSQL filters too, this only saves work.  Owned. */
static PyObject *
restriction_of(ImportForeignSchemaStmt *stmt)
{
	PyObject   *tables = own_reference(PyList_New(0));
	const char *word = NULL;
	ListCell   *cell;

	if (stmt->list_type == FDW_IMPORT_SCHEMA_LIMIT_TO)
		word = "limit to";
	else if (stmt->list_type == FDW_IMPORT_SCHEMA_EXCEPT)
		word = "except";
	foreach(cell, stmt->table_list)
	{
		RangeVar   *table = lfirst_node(RangeVar, cell);

		if (PyList_Append(tables, own_reference(text_to_python(table->relname))) != 0)
			throw_python_error();
	}
	return own_reference(Py_BuildValue("(zO)", word, tables));
}

/* A command in full length, unlike python_text(), which is for messages. */
static char *
command_text(PyObject *command)
{
	const char *utf8 = PyUnicode_AsUTF8(command);

	if (utf8 == NULL)
		throw_python_error();
	return pg_any_to_server(pstrdup(utf8), (int) strlen(utf8), PG_UTF8);
}

List *
ImportStripeSchema(ImportForeignSchemaStmt *stmt, Oid serverid)
{
	ForeignServer *server = GetForeignServer(serverid);
	List	   *volatile commands = NIL;
	PythonEntry entry;

	python_enter(&entry);
	PG_TRY();
	{
		PyObject   *schema = own_reference(text_to_python(stmt->remote_schema));
		PyObject   *name = own_reference(text_to_python(server->servername));
		PyObject   *statements = bridge_call("import_schema",
											 Py_BuildValue("(OOOO)", schema, name,
														   options_to_python(stmt->options),
														   restriction_of(stmt)));
		Py_ssize_t	i;

		for (i = 0; i < PyList_GET_SIZE(statements); i++)
			commands = lappend(commands, command_text(PyList_GET_ITEM(statements, i)));
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
	return commands;
}
