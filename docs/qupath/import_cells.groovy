// Adds the cells of PROJECT/cellscaper/IMAGE.geojson to each image: Automate → Script editor → Run for project
import groovy.json.JsonSlurper
import java.awt.geom.AffineTransform
import qupath.lib.io.PathIO
import qupath.lib.objects.PathObjectTools
def file = new File(buildFilePath(PROJECT_BASE_DIR, 'cellscaper', getCurrentImageNameWithoutExtension() + '.geojson'))
if (!file.exists()) { println "there is no ${file}"; return }
def said = new JsonSlurper().parse(file, 'UTF-8').cellscaper
def pixel = getCurrentServer().getPixelCalibration()
def scale = (pixel.hasPixelSizeMicrons() ? said.mpp / pixel.getAveragedPixelSizeMicrons() : 1) as double
def (y, x) = said.layouts[0].origin
def place = new AffineTransform(scale, 0, 0, scale, scale * x, scale * y)
addObjects(PathIO.readObjects(file).collect { PathObjectTools.transformObject(it, place, true) })
println "${file.name}: cells are in place"
