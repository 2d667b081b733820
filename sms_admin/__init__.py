'''The operator's half: `python -m sms_admin`, or `sms-admin` once it is installed. Never deployed with the login.

How to add a command
--------------------

1. Write a module with the command in its variable `command`, of Click, made by `commands.command` or `commands.Group`:

       @commands.command("number", example="number +8613800138000", needs_redis=True, help=tr("Show …", "显示…"))
       @click.argument("phone", type=commands.PHONE)
       def command(run: Run, phone: Phone) -> None:
           """Print …"""
           run.out.rows(run.rows(show_number, ShowNumber(phone.e164)), [Column("phone", tr("number", "号码"))])

   A group is `command = commands.Group("number", help=…)`, and its commands are `@command.command("show", example=…)`.
2. Give it a line in `cli.COMMANDS`: its module is imported only if the command is called.
3. Show it in docs/admin.md, in a block that a test runs, and describe its file in CONTRIBUTING.md.

Every command has `--json`, `--yes`, `--clear`, `--env-file`, and with `needs_redis` also `--function`; the first
argument of its function is the `Run` of these options:

- `run.environ` has the settings; `place.settings_of(run.environ, "SMS_")` reads those that the command needs.
- `run.out.rows` and `run.out.row` print rows as a table or as JSON; a row is a Struct with `rename="camel"`, or a dict.
  Give numbers as `Phone`: they are masked unless `--clear`. `run.out.say` prints a sentence for people alone, and
  `run.out.progress` shows a bar.
- `run.confirm(question)` asks before anything is spent or destroyed.
- `raise Failed(english, chinese)` ends the command with exit code 1, `click.UsageError` with 2. A command may also
  return its exit code.
- `tr(english, chinese)` chooses a text. Use it for all that people read.

Whatever needs Redis or the users goes into an operation, a function that may run in the admin function instead:

       @operation
       def show_number(place: Place, asked: ShowNumber, cursor: Any) -> Page:
           """Return …"""
           place.record("number.unlock", phone)  # only if it changes something: it writes to the log
           return Page([…], cursor=None)

Its request is a Struct of JSON values, its rows are Structs or dicts, and the cursor is any JSON value: `run.rows` asks
for pages until it is None. The admin function always masks a `Phone`; do not put numbers into plain strings.
'''
