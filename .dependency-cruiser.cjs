/** One-way doors of the house (docs/architecture.md): who may import whom. test/unit/house/doors.test.ts proves that each rule can go red. */
const ROOMS = ['datanets', 'model-factory', 'open-lora', 'attribution', 'settlement', 'accounts']
const rule = (name, comment, from, to) => ({ name, severity: 'error', comment, from, to })

module.exports = {
  forbidden: [
    rule('no-circular', 'A circle has no first page.', {}, { circular: true }),
    rule(
      'schema-imports-zod-only',
      'The words know nobody.',
      { path: '^functions/schema/' },
      { pathNot: '(^functions/schema/|(^|/)node_modules/zod/)' },
    ),
    rule(
      'registry-imports-schema',
      'Records know the words.',
      { path: '^functions/registry/' },
      { path: '^(functions|infra|local|console)/', pathNot: '^functions/(registry|schema)/' },
    ),
    rule(
      'ledger-imports-schema',
      'Money knows the words.',
      { path: '^functions/ledger/' },
      { path: '^(functions|infra|local|console)/', pathNot: '^functions/(ledger|schema)/' },
    ),
    rule(
      'runtime-imports-schema',
      'The hallway leads to no room.',
      { path: '^functions/runtime/' },
      { path: '^(functions|infra|local|console)/', pathNot: '^functions/(runtime|schema)/' },
    ),
    ...ROOMS.map((room) =>
      rule(
        `${room}-is-a-room`,
        'A capability never imports another.',
        { path: `^functions/${room}/` },
        { path: '^(functions|infra|local|console)/', pathNot: `^functions/(${room}|schema|registry|ledger|runtime)/` },
      ),
    ),
    rule(
      'runtime-is-for-handlers',
      'Only doors stand in the hallway.',
      { path: '^functions/', pathNot: '(\\.handler\\.ts$|^functions/runtime/)' },
      { path: '^functions/runtime/' },
    ),
    rule(
      'sdk-in-taps-only',
      'Only stores and clients talk to AWS.',
      { path: '^functions/', pathNot: '\\.(store|client)\\.ts$' },
      { path: '(^|/)node_modules/@aws-sdk/' },
    ),
    rule(
      'infra-imports-schema',
      'Walls know the words; handlers go in by path.',
      { path: '^infra/' },
      { path: '^(functions|local|console)/', pathNot: '^functions/schema/' },
    ),
    rule(
      'nothing-imports-local',
      'The embedded AWS is nobody’s foundation.',
      { path: '^(functions|infra|contracts|console)/' },
      { path: '^local/' },
    ),
  ],
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.js', '.json', '.mjs', '.cjs'],
    },
  },
}
