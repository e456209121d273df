import { refuse, runPython } from './python-command.ts'

const HELP = `usage: npm run influence -- fit   --base DIR --adapter DIR --rows ROWS.jsonl --out DIR
       npm run influence -- score --store DIR --base DIR --adapter DIR [--method ekfac|datainf|dot]  < outputs.jsonl

fit makes an influence store for a base, an adapter and its rows; score reads outputs
({"id","prompt","completion"} a line) and answers {"id","scores":{rowId: number}}, helpful positive.
\`fit --help\` and \`score --help\` name every option.
`

const [verb, ...args] = process.argv.slice(2)
if (verb === '--help' || verb === '-h') {
  process.stdout.write(HELP)
  process.exit(0)
}
if (verb !== 'fit' && verb !== 'score') refuse(`fit or score, not ${verb ?? 'nothing'}`, HELP)
await runPython({ module: `influence.${verb}`, args })
