/*
 * options.c: the options in the catalogs, their validator, and the table that they open.
 */
#include "host.h"

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "parser/parse_relation.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(stripe_fdw_validator);

/* A list of DefElem as a dict of str; owned. */
PyObject *
options_to_python(List *options)
{
	PyObject   *dict = own_reference(PyDict_New());
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);
		PyObject   *name = own_reference(text_to_python(option->defname));
		PyObject   *value = own_reference(text_to_python(option->arg ? defGetString(option) : ""));

		if (PyDict_SetItem(dict, name, value) != 0)
			throw_python_error();
	}
	return dict;
}

/* The mapping's options, or none: Python decides whether a mapping is needed. */
static List *
user_mapping_options(Oid userid, Oid serverid)
{
	HeapTuple	tuple;
	Datum		datum;
	bool		isnull;
	List	   *options;

	tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(userid), ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tuple))
		tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid),
								ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tuple))
		return NIL;
	datum = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple, Anum_pg_user_mapping_umoptions, &isnull);
	options = isnull ? NIL : untransformRelOptions(datum);
	ReleaseSysCache(tuple);
	return options;
}

/* The table's columns as a list of (name, type's name, type's oid, typmod, options); owned. */
static PyObject *
columns_to_python(Oid relid, TupleDesc desc)
{
	PyObject   *columns = own_reference(PyList_New(0));
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		char	   *format;
		PyObject   *name;
		PyObject   *type;
		PyObject   *column;

		if (attribute->attisdropped)
			continue;
		name = own_reference(text_to_python(NameStr(attribute->attname)));
		format = format_type_with_typemod(attribute->atttypid, attribute->atttypmod);
		type = own_reference(text_to_python(format));
		column = own_reference(Py_BuildValue("(OOkiO)", name, type, (unsigned long) attribute->atttypid,
											 (int) attribute->atttypmod,
											 options_to_python(GetForeignColumnOptions(relid, attribute->attnum))));
		if (PyList_Append(columns, column) != 0)
			throw_python_error();
	}
	return columns;
}

/* Counts the changes of all catalogs that a table is opened from, and some others. */
static uint64 catalog_changes = 0;

static void
count_relation_change(Datum argument, Oid relid)
{
	(void) argument;
	(void) relid;
	catalog_changes++;
}

static void
count_catalog_change(Datum argument, int cache, uint32 hash)
{
	(void) argument;
	(void) cache;
	(void) hash;
	catalog_changes++;
}

static void
count_catalog_changes(void)
{
	static const int caches[] = {
		FOREIGNDATAWRAPPEROID, FOREIGNSERVEROID, FOREIGNTABLEREL, USERMAPPINGOID, TYPEOID, AUTHOID,
		NAMESPACEOID,
	};
	static bool counting = false;
	size_t		i;

	if (counting)
		return;
	counting = true;
	CacheRegisterRelcacheCallback(count_relation_change, (Datum) 0);
	for (i = 0; i < lengthof(caches); i++)
		CacheRegisterSyscacheCallback(caches[i], count_catalog_change, (Datum) 0);
}

/* May a role make a user mapping of its own on a server? */
static bool
may_use_server(Oid serverid, Oid userid)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ForeignServerRelationId, serverid, userid, ACL_USAGE) == ACLCHECK_OK;
#else
	return pg_foreign_server_aclcheck(serverid, userid, ACL_USAGE) == ACLCHECK_OK;
#endif
}

/*
 * Python's table for a user.  While no catalog changes it is the one that the bridge keeps; after a change
 * the bridge compares what its tables were opened from, so most of them stay.
 */
PyObject *
open_table(Oid relid, Oid userid)
{
	uint64		changes;
	PyObject   *known;
	ForeignTable *table;
	ForeignServer *server;
	ForeignDataWrapper *fdw;
	Relation	relation;
	char	   *role;
	char	   *schema;
	PyObject   *names;
	PyObject   *mapping_of;
	PyObject   *columns;
	PyObject   *options;

	count_catalog_changes();
	changes = catalog_changes;	/* before the catalogs are read: reading may process further changes */
	known = bridge_call("known_table", Py_BuildValue("(kkK)", (unsigned long) relid, (unsigned long) userid,
													 (unsigned long long) changes));
	if (known != Py_None)
		return known;
	table = GetForeignTable(relid);
	server = GetForeignServer(table->serverid);
	fdw = GetForeignDataWrapper(server->fdwid);
	relation = table_open(relid, NoLock);
	schema = get_namespace_name(RelationGetNamespace(relation));
	names = own_reference(Py_BuildValue("(OO)",
										own_reference(text_to_python(schema ? quote_identifier(schema) : "")),
										own_reference(text_to_python(quote_identifier(RelationGetRelationName(relation))))));
	columns = columns_to_python(relid, RelationGetDescr(relation));
	table_close(relation, NoLock);
	role = GetUserNameFromId(userid, true);
	mapping_of = own_reference(Py_BuildValue("(OOO)", own_reference(text_to_python(role ? role : "")),
											 own_reference(text_to_python(server->servername)),
											 role && may_use_server(server->serverid, userid) ? Py_True : Py_False));
	/* Later options win.  A table has no option that could send a mapping's key elsewhere. */
	options = own_reference(Py_BuildValue("(OOOO)",
										  options_to_python(fdw->options),
										  options_to_python(table->options),
										  options_to_python(server->options),
										  options_to_python(user_mapping_options(userid, server->serverid))));
	return bridge_call("open_table", Py_BuildValue("(kkKOOOO)", (unsigned long) relid, (unsigned long) userid,
												   (unsigned long long) changes, names, options, mapping_of,
												   columns));
}

/* The user whose mapping a scan uses: a view's owner, or the current user. */
Oid
scan_user(EState *estate, ForeignScan *plan)
{
	Oid			user;
#if PG_VERSION_NUM >= 160000
	(void) estate;
	user = plan->checkAsUser;
#else
	user = exec_rt_fetch(plan->scan.scanrelid, estate)->checkAsUser;
#endif
	return OidIsValid(user) ? user : GetUserId();
}

static const char *
kind_of(Oid catalog)
{
	switch (catalog)
	{
		case ForeignDataWrapperRelationId:
			return "wrapper";
		case ForeignServerRelationId:
			return "server";
		case UserMappingRelationId:
			return "user mapping";
		case ForeignTableRelationId:
			return "table";
		case AttributeRelationId:
			return "column";
		default:
			ereport(ERROR,
					(errcode(ERRCODE_FDW_ERROR),
					 errmsg("stripe_fdw has no options for catalog %u", catalog)));
	}
	return NULL;
}

/*
 * The statement that failed holds the options' values, and one of them is a key, maybe under a wrong name or
 * in a wrong place.  So the statement is not logged, and PL/pgSQL cannot add it as context: ours is the last
 * context callback that is called.
 */
static void
hide_statement(void *argument)
{
	ErrorContextCallback *callback = argument;

	errhidestmt(true);
	callback->previous = NULL;
}

/*
 * A mapping may name a file or variable of the database server, and any role with USAGE on a server may
 * create its own mapping.  So naming one takes a privilege that allows reading it in other ways.
 */
static void
check_sources(List *options)
{
	ListCell   *cell;

	if (superuser())
		return;
	foreach(cell, options)
	{
		char	   *name = lfirst_node(DefElem, cell)->defname;

		if (strcmp(name, "api_key_file") == 0 && !has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to set the option api_key_file of a user mapping"),
					 errhint("Superusers and members of pg_read_server_files may have the server read a "
							 "file; others set api_key, or ask one of them to create the user mapping.")));
		if (strcmp(name, "api_key_env") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to set the option api_key_env of a user mapping"),
					 errhint("Superusers may have the server read a variable of its environment; "
							 "others set api_key, or ask one of them to create the user mapping.")));
	}
}

/*
 * The keys of all its mappings go where a server's api_base says, and its owner may change that.  So an address
 * that is neither Stripe's nor of this machine takes a superuser.  The validator does not know which server it is,
 * nor what its options were: where a superuser has set such an address, others can change no option any more.
 */
static void
refuse_foreign_api_base(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to send the requests of a server to another host than Stripe's"),
			 errdetail("The keys of its user mappings are sent to its api_base."),
			 errhint("Superusers may set such an api_base, and change other options of a server that has one; "
					 "others may drop it.")));
}

/*
 * CREATE and ALTER of a foreign data wrapper, server, user mapping, table or column come here with all its
 * options.
 */
Datum
stripe_fdw_validator(PG_FUNCTION_ARGS)
{
	List	   *options = untransformRelOptions(PG_GETARG_DATUM(0));
	const char *kind = kind_of(PG_GETARG_OID(1));
	ErrorContextCallback *outer = error_context_stack;
	ErrorContextCallback callback = {.callback = hide_statement,.arg = &callback,.previous = outer};
	PythonEntry entry;
	bool		free_to_choose = strcmp(kind, "server") != 0 || superuser();
	volatile bool has_foreign_api_base = false;

	/* CREATE EXTENSION alone starts no Python. */
	if (options == NIL && strcmp(kind, "wrapper") == 0)
		PG_RETURN_VOID();
	error_context_stack = &callback;
	if (strcmp(kind, "user mapping") == 0)
		check_sources(options);
	python_enter(&entry);
	PG_TRY();
	{
		PyObject   *values = options_to_python(options);

		bridge_call("validate", Py_BuildValue("(sO)", kind, values));
		if (!free_to_choose)
			has_foreign_api_base = bridge_call("has_foreign_api_base", Py_BuildValue("(O)", values)) == Py_True;
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
	if (has_foreign_api_base)
		refuse_foreign_api_base();
	error_context_stack = outer;
	PG_RETURN_VOID();
}
