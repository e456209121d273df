import { join } from 'node:path'
import { App } from 'aws-cdk-lib'
import { addChecks } from './checks/checks.ts'
import { loadConfig } from './config.ts'
import { Bundles } from './constructs/bundles.ts'
import { OpenLedgerStack } from './openledger-stack.ts'

const app = new App()
const config = loadConfig(app.node.tryGetContext('openledger'))
const bundles = new Bundles(join(import.meta.dirname, '../functions'))
new OpenLedgerStack(app, 'OpenLedger', { config, bundles, terminationProtection: config.stage === 'prod' })
addChecks(app, bundles)
