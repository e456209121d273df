/** The Datanets as they are deployed, without the rest of the product. */
import { join } from 'node:path'
import { App, CfnOutput, Stack } from 'aws-cdk-lib'
import { Attribution } from '../../../infra/attribution.ts'
import { Config } from '../../../infra/config.ts'
import { Bundles } from '../../../infra/constructs/bundles.ts'
import { House } from '../../../infra/constructs/house.ts'
import { Datanets } from '../../../infra/datanets.ts'
import { Storage } from '../../../infra/storage.ts'

const stack = new Stack(new App(), 'DatanetsTest')
const bundles = new Bundles(join(import.meta.dirname, '../../../functions'))
House.set(stack, new House(Config.parse({ stage: 'dev' }), bundles))
const storage = new Storage(stack, 'Storage')
const { buildShard } = new Attribution(stack, 'Attribution', {
  storage,
  influenceEndpoints: `arn:aws:sagemaker:${stack.region}:${stack.account}:endpoint/none`,
})
const datanets = new Datanets(stack, 'Datanets', { storage, buildShard })
const outputs = {
  Registry: storage.registry.tableName,
  Data: storage.data.bucketName,
  Flow: datanets.ingestion.stateMachine.stateMachineArn,
}
for (const [name, value] of Object.entries(outputs)) new CfnOutput(stack, name, { value })
