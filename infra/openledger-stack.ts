import { Stack, type StackProps, Tags } from 'aws-cdk-lib'
import { ManagedPolicy, PermissionsBoundary } from 'aws-cdk-lib/aws-iam'
import type { Construct } from 'constructs'
import { Accounts } from './accounts.ts'
import { Api } from './api.ts'
import { Attribution } from './attribution.ts'
import type { Config } from './config.ts'
import type { Bundles } from './constructs/bundles.ts'
import { House } from './constructs/house.ts'
import { Datanets } from './datanets.ts'
import { influenceEndpoints } from './endpoint-scaling.ts'
import { Images } from './images.ts'
import { ModelFactory } from './model-factory.ts'
import { OpenLora } from './open-lora.ts'
import { Operations } from './operations.ts'
import { Settlement } from './settlement.ts'
import { Storage } from './storage.ts'

/** Table of contents of the product. */
export class OpenLedgerStack extends Stack {
  constructor(scope: Construct, id: string, props: StackProps & { config: Config; bundles?: Bundles }) {
    super(scope, id, { ...props, description: 'OpenLedger: Payable AI' })
    const { config } = props
    House.set(this, new House(config, props.bundles))

    const storage = new Storage(this, 'Storage')
    const images = new Images(this, 'Images')
    const accounts = new Accounts(this, 'Accounts', { storage })
    const openLora = new OpenLora(this, 'OpenLora', { storage, images })
    const modelFactory = new ModelFactory(this, 'ModelFactory', {
      storage,
      images,
      ensureHosting: openLora.ensureHosting,
    })
    const attribution = new Attribution(this, 'Attribution', {
      storage,
      influenceEndpoints: influenceEndpoints(openLora.endpointPrefix),
    })
    const datanets = new Datanets(this, 'Datanets', { storage, buildShard: attribution.buildShard })
    const settlement = new Settlement(this, 'Settlement', { storage, receiptLog: attribution.receiptLog })
    new Api(this, 'Api', {
      doors: {
        ...accounts.doors,
        ...modelFactory.doors,
        ...datanets.doors,
        ...openLora.doors,
        ...attribution.doors,
        ...settlement.doors,
      },
      authorizer: accounts.authorizer,
      allowedOrigins: config.allowedOrigins,
    })

    if (config.alarmEmail) new Operations(this, 'Operations', { alarmEmail: config.alarmEmail })

    Tags.of(this).add('openledger:stage', config.stage)
    for (const [key, value] of Object.entries(config.tags)) Tags.of(this).add(key, value)
    if (config.permissionsBoundaryArn) {
      const boundary = ManagedPolicy.fromManagedPolicyArn(this, 'Boundary', config.permissionsBoundaryArn)
      PermissionsBoundary.of(this).apply(boundary)
    }
  }
}
