import { commandLine } from './program.ts';

// Started by conformance.mjs on an older Node: if that is killed, nobody waits for this run any more.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();

process.exitCode = await commandLine(process.argv.slice(2), (text) => process.stderr.write(text));
