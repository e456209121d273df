import { ensureContracts } from './contracts.ts'
import { createProgress, type Progress } from './progress.ts'
import { ensurePython } from './python.ts'

export interface SetupOptions {
  /** The environment of the emulator and of the three GPU images. */
  python?: boolean
  /** The contracts' bytecode. */
  contracts?: boolean
  progress?: Progress
}

/**
 * Brings this machine to where the local platform, a test run or a command can start. A second call is instant.
 * @throws MissingOnThisMachine, NoCpuTorch: both say what to type; CommandFailed with the end of a tool's output
 */
export async function ensureSetup(options: SetupOptions): Promise<void> {
  const progress = options.progress ?? createProgress()
  checkNode()
  if (options.python) await ensurePython(progress.note)
  if (options.contracts) await ensureContracts(progress.note)
}

/** npm puts the pinned Node 24 in front of PATH; a `node` of one's own may be older and cannot run TypeScript. */
function checkNode(): void {
  const major = Number(process.versions.node.split('.')[0])
  if (major < 24) {
    throw new Error(
      `Node ${process.versions.node} runs this; use the npm script (npm start, npm test), which brings Node 24.`,
    )
  }
}
