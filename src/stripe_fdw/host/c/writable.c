/*
 * writable.c: which of INSERT, UPDATE and DELETE Stripe has for the objects of a table.
 *
 * host/install.py writes writable_tables.h from the catalog, so that those who only look, such as
 * information_schema and the tools that read it, start no Python.
 */
#include "host.h"

#include "commands/defrem.h"
#include "foreign/foreign.h"

#define INSERTS (1 << CMD_INSERT)
#define UPDATES (1 << CMD_UPDATE)
#define DELETES (1 << CMD_DELETE)

static const struct
{
	const char *object;			/* the option of the foreign table */
	int			commands;
}			limited[] = {
#include "writable_tables.h"
	{NULL, 0}
};

/* The commands, as bits 1 << CmdType: all for a table that is not known. */
static int
writable_commands(Oid relid)
{
	ForeignTable *table = GetForeignTable(relid);
	ListCell   *cell;
	int			i;

	foreach(cell, table->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "object") != 0)
			continue;
		for (i = 0; limited[i].object != NULL; i++)
			if (strcmp(limited[i].object, defGetString(option)) == 0)
				return limited[i].commands;
	}
	return INSERTS | UPDATES | DELETES;
}

int
IsForeignRelUpdatable(Relation relation)
{
	return writable_commands(RelationGetRelid(relation));
}

/* Refuse a statement that Stripe has no operation for, also one that finds no row. */
void
check_writable(Oid relid, Oid user, CmdType command)
{
	const char *name = command == CMD_INSERT ? "INSERT" : command == CMD_UPDATE ? "UPDATE" : "DELETE";
	PythonEntry entry;

	if (writable_commands(relid) & (1 << command))
		return;
	python_enter(&entry);
	PG_TRY();
	{
		bridge_call("refuse_write", Py_BuildValue("(Os)", open_table(relid, user), name));
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
}
